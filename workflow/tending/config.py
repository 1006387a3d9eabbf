"""What a config must satisfy beyond its schema: relations between keys, names, files."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator, ValidationError

from tending import found
from tending.checkpoints import source

Config = Mapping[str, Any]
Model = Mapping[str, Any]

SIMILARITY = "tending.metrics.similarity"
SPECTRUM = "tending.metrics.spectrum"
FIGURES = "tending.figures"
MODELS = "tending.checkpoints"
CORPORA = "tending.corpus"


class ConfigError(ValueError):
    """A study that cannot be run as it is written; the message lists everything found."""


def check_schema(config: Config, schema: Path) -> None:
    """Raise ConfigError listing every place where a config departs from its JSON schema.

    schema: the schema's YAML file. Snakemake's own check stops at the first mistake and prints
    the whole schema with it; it is still what fills in the defaults.
    """
    rules = yaml.safe_load(schema.read_text("utf-8"))
    errors = sorted(Draft202012Validator(rules).iter_errors(config), key=lambda e: e.json_path)
    if errors:
        listed = "\n".join(f"  - {_place(error)}: {_mistake(error)}" for error in errors)
        raise ConfigError(f"the study's config is not valid; see {schema.name}:\n{listed}")


def _place(error: ValidationError) -> str:
    return error.json_path.removeprefix("$").removeprefix(".") or "the config"


def _mistake(error: ValidationError) -> str:
    """What is wrong at one place, with the known keys or the key's description as the remedy."""
    rule = cast(Mapping[str, Any], error.schema)
    if error.validator == "additionalProperties":
        known = rule["properties"]
        unknown = ", ".join(repr(key) for key in cast(Config, error.instance) if key not in known)
        return f"unknown key {unknown}; known: {', '.join(known)}"
    described = " ".join(str(rule.get("description", "")).split())
    if error.validator == "anyOf":
        return f"{error.instance!r} is not allowed. {described}".rstrip()
    return f"{error.message}. {described}".rstrip()


def check(config: Config) -> None:
    """Raise ConfigError listing every problem of a config that its schema accepted."""
    problems = [*_names(config), *_models(config), *_corpus(config)]
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(f"the study {config['study']!r} cannot be run:\n{listed}")


def steps(config: Config, model: Model) -> list[int]:
    """The steps asked for: the model's own, or the study's."""
    return list(model.get("steps") or config.get("steps", []))


def reference(config: Config, model: Model) -> int:
    """The step that the others are compared with; `last` is the largest asked for."""
    wanted = config["reference"]
    return max(steps(config, model)) if wanted == "last" else int(wanted)


def _names(config: Config) -> Iterator[str]:
    kinds = {"similarity": SIMILARITY, "spectrum": SPECTRUM, "figures": FIGURES}
    for key, package in kinds.items():
        kind = "figure" if key == "figures" else f"{key} metric"
        for name in config.get(key) or []:
            try:
                found.require(package, name, kind)
            except ValueError as error:
                yield f"{key}: {error}"


def _models(config: Config) -> Iterator[str]:
    counts = Counter(model["name"] for model in config["models"])
    for name, count in counts.items():
        if count > 1:
            yield f"models: the name {name!r} is used {count} times; give each model its own"
    for model in config["models"]:
        misplaced = list(_misplaced(MODELS, "model source", model, {"name", "source", "steps"}))
        for problem in misplaced or _steps(config, model):
            yield f"models: {model['name']}: {problem}"


def _misplaced(
    package: str, kind: str, section: Mapping[str, Any], always: set[str]
) -> Iterator[str]:
    """Keys that a source in `package` needs or does not know, besides those that all have."""
    name = section["source"]
    try:
        found.require(package, name, kind)
    except ValueError as error:
        yield str(error)
        return
    required, optional = (found.constant(f"{package}.{name}", c) for c in ("REQUIRED", "OPTIONAL"))
    assert isinstance(required, tuple) and isinstance(optional, tuple)
    for key in required:
        if key not in section:
            yield f"the source {name} needs `{key}`"
    for key in sorted(set(section) - {*required, *optional, *always}):
        yield f"`{key}` means nothing for the source {name}; remove it or set another source"


def _steps(config: Config, model: Model) -> Iterator[str]:
    asked = steps(config, model)
    if not asked:
        yield "no steps; give the study or the model a list `steps`"
        return
    if asked != sorted(asked):
        yield f"steps must ascend, found {asked[_first_descent(asked)]} after a larger one"
        return
    existing = source(model["source"]).steps(model)
    if not existing:
        yield f"nothing matches {model.get('path')!r}; check the path and its {{step}} pattern"
        return
    for step in asked:
        if step not in existing:
            yield f"step {step} does not exist; {_nearest(step, existing)}"
    length = source(model["source"]).total_steps(model, asked)
    if asked[-1] > length and asked[-1] in existing:
        yield f"step {asked[-1]} is after the end of the training, `training_steps` {length}"
    wanted = config["reference"]
    if wanted != "last" and wanted not in asked:
        yield f"the reference step {wanted} is not among its steps; add it to them"
    if model["source"] == "trained" and model["recipe"]["d_model"] % model["recipe"]["heads"]:
        yield (
            f"recipe: d_model {model['recipe']['d_model']} is not a multiple of "
            f"heads {model['recipe']['heads']}"
        )


def _first_descent(asked: list[int]) -> int:
    return next(i for i in range(1, len(asked)) if asked[i] < asked[i - 1])


def _nearest(step: int, existing: list[int]) -> str:
    nearest = sorted(sorted(existing, key=lambda s: (abs(s - step), s))[:4])
    return f"the nearest that do are {', '.join(map(str, nearest))}"


def _corpus(config: Config) -> Iterator[str]:
    corpus = config["corpus"]
    always = {"source", "sequences", "length", "seed"}
    yield from (f"corpus: {text}" for text in _misplaced(CORPORA, "corpus source", corpus, always))
    for key in ("path", "tokenizer"):
        if key in corpus and not Path(corpus[key]).exists():
            yield f"corpus: {corpus[key]} does not exist; see `corpus.{key}`"
    position, length = config["extraction"]["position"], corpus.get("length")
    if length and isinstance(position, int) and not -length <= position < length:
        yield f"extraction: position {position} is outside sequences of {length} tokens"
    if corpus.get("length") == 1 and config["held_out_loss"]["sequences"]:
        yield (
            "corpus: `length` 1 leaves no next token to take the loss of; raise it or set "
            "`held_out_loss.sequences` to 0"
        )
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
