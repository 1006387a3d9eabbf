"""Checks of a config beyond its schema: relations between keys, names, files."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator, ValidationError

from tending.checkpoints import hub, source, trained
from tending.components import DEFAULT
from tending.core import plugins
from tending.core import steps as schedules
from tending.core.aliases import Config, Model
from tending.core.plugins import FIGURES, SIMILARITY, SPECTRUM, TRAJECTORY
from tending.corpus.hub import ROWS_PER_STEP, parse_rows
from tending.families import published_family
from tending.hub import duplicate_audit
from tending.stages.divergence import divergence_config
from tending.stages.evaluations import evaluations
from tending.stages.gradients import gradient_config
from tending.stages.representation import representation_config
from tending.stages.trajectory import trajectory_config
from tending.study import metric_components, published, row_limits, seed_groups
from tending.study.selection import asked, steps

MODELS = "tending.checkpoints"
CORPORA = "tending.corpus"


class ConfigError(ValueError):
    """A study that cannot be run as it is written; the message lists all problems."""


def check_schema(config: Config, schema: Path) -> None:
    """Raise ConfigError listing every place where a config violates its JSON schema.

    schema: the schema's YAML file. Snakemake's own check stops at the first mistake and prints
    the whole schema with it; it is still used to fill in the defaults.
    """
    rules = yaml.safe_load(schema.read_text("utf-8"))
    found_errors = map(_innermost, Draft202012Validator(rules).iter_errors(config))
    errors = sorted(found_errors, key=lambda error: error.json_path)
    if errors:
        listed = "\n".join(f"  - {_place(error)}: {_mistake(error)}" for error in errors)
        raise ConfigError(f"the study's config is not valid; see {schema.name}:\n{listed}")


def _innermost(error: ValidationError) -> ValidationError:
    """Return the mistake in the alternative that was meant, if several kinds of value are valid."""
    inside = [e for e in error.context or [] if e.relative_path] if error.parent is None else []
    return inside[0] if inside else error


def _place(error: ValidationError) -> str:
    return error.json_path.removeprefix("$").removeprefix(".") or "the config"


def _mistake(error: ValidationError) -> str:
    """Describe the mistake at one place, with the known keys or the key's description as remedy."""
    rule = cast(Mapping[str, Any], error.schema)
    if error.validator == "additionalProperties":
        known = rule["properties"]
        unknown = ", ".join(repr(key) for key in cast(Config, error.instance) if key not in known)
        return f"unknown key {unknown}; known: {', '.join(known)}"
    described = " ".join(str(rule.get("description", "")).split())
    if error.validator in ("anyOf", "contains"):
        return f"{error.instance!r} is not allowed. {described}".rstrip()
    return f"{error.message}. {described}".rstrip()


def check(config: Config) -> None:
    """Raise ConfigError listing every problem of a config that its schema accepted."""
    named = list(_names(config))  # row limits depend on the metrics, which must exist
    problems = [*(named or row_limits.problems(config)), *_models(config), *_corpus(config)]
    problems += [text for text in metric_components.problems(config) if text not in problems]
    problems += representation_config.problems(config)
    problems += divergence_config.problems(config)
    problems = problems or [  # these need the steps
        *trajectory_config.problems(config),
        *seed_groups.problems(config),
        *gradient_config.problems(config),
    ]
    _refuse(config, [*problems, *evaluations.problems(config)])


def check_evaluations(config: Config) -> list[str]:
    """Raise ConfigError listing every problem in the files of evaluations; return warnings.

    Reads all files, so the main process calls it, not every job; the models' steps must be known.
    """
    problems, warnings = evaluations.check(config)
    _refuse(config, problems)
    return warnings


def _refuse(config: Config, problems: list[str]) -> None:
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(f"the study {config['study']!r} cannot be run:\n{listed}")


def _names(config: Config) -> Iterator[str]:
    kinds = {"similarity": SIMILARITY, "spectrum": SPECTRUM, "figures": FIGURES}
    kinds["trajectory"] = TRAJECTORY
    for key, package in kinds.items():
        kind = "figure" if key == "figures" else f"{key} metric"
        for name in config.get(key) or []:
            try:
                plugins.require(package, name, kind)
            except ValueError as error:
                yield f"{key}: {error}"


def _models(config: Config) -> Iterator[str]:
    counts = Counter(model["name"] for model in config["models"])
    for name, count in counts.items():
        if count > 1:
            yield f"models: the name {name!r} is used {count} times; give each model its own"
    for model in config["models"]:
        always = {"name", "source", "steps", "group", "published_as", "vocabulary"}
        misplaced = list(_misplaced(MODELS, "model source", model, always))
        problems = misplaced or list(_steps(config, model)) or _published(config, model)
        for problem in problems:
            yield f"models: {model['name']}: {problem}"


def _misplaced(
    package: str, kind: str, section: Mapping[str, Any], always: set[str]
) -> Iterator[str]:
    """Yield keys that a source in `package` needs or does not know, besides the common ones."""
    name = section["source"]
    try:
        plugins.require(package, name, kind)
    except ValueError as error:
        yield str(error)
        return
    required, optional = (
        plugins.constant(f"{package}.{name}", c) for c in ("REQUIRED", "OPTIONAL")
    )
    assert isinstance(required, tuple) and isinstance(optional, tuple)
    for key in required:
        if key not in section:
            yield f"the source {name} needs `{key}`"
    for key in sorted(set(section) - {*required, *optional, *always}):
        yield f"`{key}` means nothing for the source {name}; remove it or set another source"


def _steps(config: Config, model: Model) -> Iterator[str]:
    study, kind = config["study"], source(model["source"])
    if model["source"] == "hub":
        problem = hub.naming_problem(model) or hub.pin_problem(model, study)
        if problem:
            yield problem
            return
    existing = kind.steps(model, study)
    try:
        wanted = schedules.expand(asked(config, model), existing)
    except ValueError as error:
        if existing is not None or "not known yet" not in str(error):
            yield f"steps: {error}"
        return
    if existing == []:
        yield f"nothing matches {model.get('path')!r}; check the path and its {{step}} pattern"
        return
    yield from _asked_steps(config, model, wanted, existing)


def _asked_steps(
    config: Config, model: Model, wanted: list[int], existing: list[int] | None
) -> Iterator[str]:
    """Yield problems of the steps themselves; existing is None before the hub was queried."""
    if not wanted:
        spec = asked(config, model)
        named = schedules.nothing_of(spec, existing or []) if spec else "no steps"
        yield f"{named}; give the study or the model `steps`"
        return
    if (step := schedules.descent(wanted)) is not None:
        yield f"steps must ascend, found {step} after a larger one or twice"
        return
    if existing is not None and model["source"] != "hub":  # the hub may have new ones
        for step in sorted(set(wanted) - set(existing)):
            yield f"step {step} does not exist; {schedules.nearest(step, existing)}"
    yield from _ends(config, model, wanted, existing)
    if model["source"] == "hub":
        yield from _duplicates(config, model, wanted)


def _duplicates(config: Config, model: Model, wanted: list[int]) -> Iterator[str]:
    """Yield findings of the audit that the study's policy does not allow."""
    mistaken = hub.mistaken(model, config["study"], wanted)
    if not mistaken or config["duplicates"] == "keep":
        return
    if config["duplicates"] == "error":
        yield (
            f"{len(mistaken)} of its steps hold weights that another revision of "
            f"{model['repository']} holds too, so they cannot both be right: "
            f"{duplicate_audit.described(mistaken)}. Set `duplicates: drop` to leave these steps "
            f"out, `keep` to measure them anyway, or remove them from `steps`"
        )
    elif set(wanted) <= set(mistaken):
        yield f"`duplicates: drop` leaves none of its steps: {duplicate_audit.described(mistaken)}"
    elif config["reference"] in mistaken:
        yield (
            f"the reference step {config['reference']} is one that `duplicates: drop` leaves out: "
            f"{duplicate_audit.described(mistaken)}; choose another"
        )


def _ends(
    config: Config, model: Model, wanted: list[int], existing: list[int] | None
) -> Iterator[str]:
    """Yield problems with the end of the training run and with the reference step."""
    if existing is not None:
        length = source(model["source"]).total_steps(model, wanted, config["study"])
        if wanted[-1] > length and wanted[-1] in existing:
            yield f"step {wanted[-1]} is after the end of the training, `training_steps` {length}"
    reference = config["reference"]
    if reference != "last" and reference not in wanted:
        yield f"the reference step {reference} is not among its steps; add it to them"
    if model["source"] == "trained":
        yield from trained.problems(trained.recipe(model))


def _rows(config: Config) -> Iterator[str]:
    """Yield a problem if a dataset's requested rows are contradictory or too few for the study."""
    corpus, batch = config["corpus"], config["corpus"].get("batch", {})
    needed = max(corpus["sequences"], config["held_out_loss"]["sequences"])
    enough = "see `corpus.sequences` and `held_out_loss.sequences`"
    if "rows" in corpus and batch:
        yield "`rows` and `batch` both say which rows; remove one"
        return
    if "rows" in corpus and corpus["source"] == "hub":
        start, stop = parse_rows(corpus["rows"])
        if stop is not None and stop <= start:
            yield f"`rows` {corpus['rows']} is empty; write the first row, `..`, and the end"
        elif stop is not None and stop - start < needed:
            yield f"`rows` {corpus['rows']} are fewer than the {needed} of the study; {enough}"
    if "column" in batch and "rows_per_step" in batch:
        yield "batch: `rows_per_step` means nothing where `column` says the step; remove one"
        return
    rows = batch.get("rows_per_step", ROWS_PER_STEP)
    if batch and "column" not in batch and rows < needed:
        yield f"batch: `rows_per_step` {rows} is less than the {needed} of the study; {enough}"


def _published(config: Config, model: Model) -> Iterator[str]:
    """Yield problems with a model's published definition, or its comparison with the paper."""
    study = config["study"]
    if model["source"] == "hub" and hub.unresolved(model, study, asked(config, model)):
        return  # checked again once the hub was queried
    wanted = steps(config, model)
    if "published" in config["definitions"]:
        try:
            published_family(source(model["source"]).family(model, wanted[-1], study))
        except ValueError as error:
            yield str(error)
    if "published_as" not in model:
        return
    shown = sorted({value.step for value in published.medians(model["published_as"])})
    if not set(shown) & set(wanted):
        yield (
            f"published_as {model['published_as']}: none of its steps is among those that the "
            f"paper shows, {shown[0]} to {shown[-1]} by 10000; add some or remove `published_as`"
        )
    for key, metric in zip(("similarity", "spectrum"), published.METRICS.values(), strict=True):
        if metric not in config[key]:
            yield f"published_as: the paper's metric {metric} is not in `{key}`; add it"
        if metric in metric_components.restrictions(config, key):
            yield f"published_as: the paper's metric {metric} covers all components; name it alone"
    for part in sorted(set(DEFAULT) - set(config["components"])):
        yield f"published_as: the paper's {part} is not in `components`; add it"


def _tokenizers(config: Config) -> Iterator[str]:
    """Yield a problem if a text would be tokenised for a model trained with another tokenizer."""
    corpus, study = config["corpus"], config["study"]
    if corpus["source"] not in ("text", "hub_text") or corpus.get("tokenizer"):
        return
    digests: dict[str, str] = {}
    for model in config["models"]:
        found = hub.known(model, study) if model["source"] == "hub" else None
        pinned = max(found.revisions) if found and found.revisions else None
        if pinned is not None and (digest := hub.tokenizer_digest(model, pinned, study)):
            digests.setdefault(digest, model["name"])
    if len(digests) > 1:
        one, other = list(digests.values())[:2]
        yield (
            f"corpus: {one} and {other} have different tokenizers, and one study probes all its "
            f"models with the same tokens; make two studies, or, if the vocabularies are the same, "
            f"name one in `corpus.tokenizer`"
        )


def _corpus(config: Config) -> Iterator[str]:
    corpus = config["corpus"]
    always = {"source", "sequences", "length", "seed"}
    yield from (f"corpus: {text}" for text in _misplaced(CORPORA, "corpus source", corpus, always))
    yield from (f"corpus: {text}" for text in _rows(config))
    for key in ("path", "tokenizer"):
        if key in corpus and not Path(corpus[key]).exists():
            yield f"corpus: {corpus[key]} does not exist; see `corpus.{key}`"
    if corpus.get("length") == 1 and config["held_out_loss"]["sequences"]:
        yield (
            "corpus: `length` 1 leaves no next token to compute the loss on; raise it or set "
            "`held_out_loss.sequences` to 0"
        )
    yield from _tokenizers(config)
    trained = [m["name"] for m in config["models"] if m["source"] == "trained"]
    others = [m["name"] for m in config["models"] if m["source"] != "trained"]
    if corpus["source"] == "embedded" and others:
        yield (
            f"corpus: the embedded corpus has its own tokenizer, which {others[0]} was not "
            f"trained with; use the source text or tokens"
        )
    if trained and others:
        yield (
            f"models: {trained[0]} is trained with the embedded tokenizer, {others[0]} is not; "
            f"one study probes all its models with the same tokens, so make two studies"
        )
