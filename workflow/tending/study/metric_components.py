"""Assignment of metrics to components, from the keys `components`, `spectrum`, `similarity`.

An entry of `spectrum` or `similarity` is a metric's name, which then applies to all components, or
`{name: ..., components: [...]}`. `normalise` replaces the entries by plain names, which the rest of
the library reads, and puts the restrictions under a key of their own.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tending import components as parts
from tending.checkpoints import hub, source
from tending.components import Component
from tending.core import plugins
from tending.core.aliases import Config, Model
from tending.families import family
from tending.study.selection import steps

PACKAGES = {key: f"tending.metrics.{key}" for key in ("spectrum", "similarity")}
MEASURES = {"spectrum": "weights", "similarity": "activations"}  # the measured part
SHOWN = {"spectrum": "proportional_effective_rank", "similarity": "cka_debiased"}  # or the first
RESTRICTED = "restricted"  # key of a normalised config: key -> metric -> components


def normalise(config: dict[str, Any]) -> None:
    """Put plain names into `spectrum` and `similarity`; the schema has accepted the config."""
    restricted: dict[str, dict[str, list[str]]] = dict(config.get(RESTRICTED, {}))
    for key in PACKAGES:
        entries = config[key]
        named = {e["name"]: e["components"] for e in entries if not isinstance(e, str)}
        if named:
            restricted[key] = named
        config[key] = [e if isinstance(e, str) else e["name"] for e in entries]
    if restricted:
        config[RESTRICTED] = restricted


def restrictions(config: Config, key: str) -> dict[str, list[str]]:
    """Return the metrics of `key` that are restricted to some components, with these."""
    return {m: list(names) for m, names in config.get(RESTRICTED, {}).get(key, {}).items()}


def measured(config: Config, kind: str) -> list[str]:
    """List the study's components that have `weights` or `activations`, in the config's order."""
    return [name for name in config["components"] if getattr(parts.component(name), kind)]


def problems(config: Config) -> Iterator[str]:
    """Yield problems with the study's components and with the metrics applied to them."""
    known = []
    for name in config["components"]:
        try:
            known.append(parts.component(name))
        except ValueError as error:
            yield f"components: {error}"
    if len(known) < len(config["components"]):
        return
    if not any(_in_both(part) for part in known):
        every = ", ".join(n for n in plugins.names(parts.PACKAGE) if _in_both(parts.component(n)))
        yield (
            f"components: none of {', '.join(config['components'])} has weights and activations in "
            f"every layer, which figures set beside each other; add one of {every}"
        )
    for key in PACKAGES:
        yield from (f"{key}: {problem}" for problem in _metrics(config, key, known))
    for model in config["models"]:
        yield from (f"models: {model['name']}: {text}" for text in _model(config, model, known))


def _in_both(part: Component) -> bool:
    return part.weights and part.activations and part.whole and part.layers


def _metrics(config: Config, key: str, known: list[Component]) -> Iterator[str]:
    """Yield problems with pairs of metric and component."""
    able = {part.name: part for part in known if getattr(part, MEASURES[key])}
    restricted = restrictions(config, key)
    counts: Counter[str] = Counter(config[key])
    for metric, count in counts.items():
        if count > 1:
            yield f"{metric} is listed {count} times; name it once, with all of its components"
    shown = SHOWN[key] if SHOWN[key] in config[key] else config[key][0]
    if shown in restricted:
        yield (
            f"figures show {shown} for all components, so it cannot be restricted to some; "
            f"write its name alone" + ("" if shown == SHOWN[key] else ", or put another first")
        )
    for metric in config[key]:
        wanted = restricted.get(metric, list(able))
        for name in [name for name in wanted if name not in able]:
            yield (
                f"{metric} cannot be applied to {name!r}, which is not among the `components` that "
                f"have {MEASURES[key]}: {', '.join(able)}"
            )
        products = [n for n in wanted if n in able and not able[n].one_matrix]
        if products and key == "spectrum" and _one_matrix(metric):
            others = ", ".join(n for n in wanted if n not in products) or "mlp_out"
            yield (
                f"{metric} holds for one matrix, and {', '.join(products)} is a product of "
                f"several; write {{name: {metric}, components: [{others}]}}"
            )


def _one_matrix(metric: str) -> bool:
    """Whether a metric of singular values applies to stored matrices only, without importing it."""
    if metric not in plugins.names(PACKAGES["spectrum"]):
        return False  # reported elsewhere
    return bool(plugins.argument(f"{PACKAGES['spectrum']}.{metric}", "METRIC", "one_matrix", False))


def _model(config: Config, model: Model, known: list[Component]) -> Iterator[str]:
    """Yield components that a model lacks or cannot measure."""
    study = config["study"]
    try:
        last = steps(config, model)[-1]
        name = source(model["source"]).family(model, last, study)
        kind = family(name)
        counted = "vocabulary" in model or has_tokenizer(model, last, study)
    except (ValueError, KeyError, IndexError, OSError):
        return  # reported elsewhere, or checked again once the hub was queried
    for part in known:
        if (reason := parts.inapplicable(part, name, kind)) is not None:
            yield reason
    rows = [part.name for part in known if part.weights and not part.layers]
    if rows and not counted:
        yield (
            f"{' and '.join(rows)}: rows beyond the tokenizer's tokens are padding and left out, "
            f"but the model has no tokenizer.json that says how many there are; put one beside "
            f"its weights, or give the model `vocabulary`"
        )


def has_tokenizer(model: Model, step: int, study: str) -> bool:
    """Whether there is a tokenizer.json, or the workflow will make one."""
    if model["source"] == "hub":
        return bool(hub.tokenizer_digest(model, step, study))
    there = Path(source(model["source"]).tokenizer(model, step, study)).exists()
    return there or model["source"] == "trained"
