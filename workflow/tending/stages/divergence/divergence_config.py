"""Requirements on a study with divergences, and the files and settings of that stage."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tending.checkpoints import source
from tending.core import paths, plugins
from tending.core.aliases import Config, Model
from tending.core.snakemake_internals import all_noted
from tending.study import metric_components
from tending.study.selection import steps

KEY = "divergence"
USUAL = 128  # sequences, where the study has as many

Positions = str | int | Sequence[int]  # "all", a number, or indices (negative from the end)


@all_noted
class Divergence:
    """The divergence stage of a study; empty without `divergence` in the config."""

    def __init__(self, config: Config, steps: Mapping[str, Sequence[int]]) -> None:
        self._config = config
        self._study: str = config["study"]
        self._models = {model["name"]: model for model in config["models"]}
        self._steps = steps
        self.asked = KEY in config
        self.positions: Positions = config[KEY]["positions"] if self.asked else []
        self.sequences = sequences(config) if self.asked else 0

    def weight_products(self) -> list[str]:
        """Return patterns of the files that this stage derives from weights, if requested."""
        return [paths.REFERENCE, paths.DIVERGENCE] if self.asked else []

    def files(self) -> list[str]:
        """Return one file for every model and step."""
        return [
            paths.DIVERGENCE.format(study=self._study, model=name, step=step)
            for name in self._models
            for step in self._steps[name]
            if self.asked
        ]

    def reference_steps(self) -> list[str]:
        """Return all models' reference steps, formatted as in paths."""
        return sorted({str(reference(self._config, own)) for own in self._steps.values()})

    def reference_record(self, wildcards: Any) -> str:
        """Return the checkpoint record of a model's reference step."""
        step = reference(self._config, self._steps[wildcards.model])
        return paths.CHECKPOINT.format(study=self._study, model=wildcards.model, step=step)

    def tokenizer(self, wildcards: Any) -> list[str]:
        """Return the tokenizer that gives a model's number of tokens, unless the config does."""
        model = self._models[wildcards.model]
        if "vocabulary" in model:
            return []
        step = _tokenizer_step(self._config, model, self._steps[wildcards.model])
        return [source(model["source"]).tokenizer(model, step, self._study)]

    def vocabulary(self, wildcards: Any) -> int | None:
        """Return a model's number of tokens, if given in the config."""
        named = self._models[wildcards.model].get("vocabulary")
        return None if named is None else int(named)

    def version(self) -> str:
        """Return version and settings as a single text, because params are compared as a set."""
        version = plugins.constant("tending.stages.divergence.divergence", "VERSION")
        return f"{version} of {self.sequences} sequences at {self.positions}"


def reference(config: Config, own: Sequence[int]) -> int:
    """Return a model's reference step; own: its steps, ascending."""
    return own[-1] if config["reference"] == "last" else int(config["reference"])


def sequences(config: Config) -> int:
    """Return the number of sequences used, from the first of the token file."""
    return int(config[KEY].get("sequences", min(USUAL, _rows(config))))


def _rows(config: Config) -> int:
    """Return the number of sequences in the study's token file."""
    return int(max(config["corpus"]["sequences"], config["held_out_loss"]["sequences"]))


def count(positions: Positions, length: int) -> int:
    """Return the number of positions used in a sequence of `length` tokens."""
    if isinstance(positions, str):
        return length
    return min(positions, length) if isinstance(positions, int) else len(positions)


def probed(positions: Positions, length: int) -> list[int]:
    """Return indices of the tokens after which the next one is predicted, ascending from 0.

    A number k selects every (length / k)-th position including the last, or all if there are at
    most k. Raises ValueError if a position is outside `length` tokens or is named twice.
    """
    if positions == "all":
        return list(range(length))
    if isinstance(positions, int):
        count = min(positions, length)
        return [(i + 1) * length // count - 1 for i in range(count)]
    assert not isinstance(positions, str)
    outside = [p for p in positions if not -length <= p < length]
    if outside:
        raise ValueError(
            f"position {outside[0]} is outside sequences of {length} tokens (see "
            f"`divergence.positions`)"
        )
    ascending = sorted(p % length for p in positions)
    twice = [a for a, b in pairwise(ascending) if a == b]
    if twice:
        raise ValueError(
            f"position {twice[0]} of {length} tokens is named twice in {list(positions)} (see "
            f"`divergence.positions`)"
        )
    return ascending


def problems(config: Config) -> Iterator[str]:
    """Yield reasons why the requested divergences cannot be computed."""
    if KEY not in config:
        return
    wanted, rows = sequences(config), _rows(config)
    if wanted > rows:
        yield (
            f"divergence: {wanted} sequences are more than the {rows} of the study; lower "
            f"`divergence.sequences` or raise `corpus.sequences`"
        )
    try:
        length = config["corpus"].get("length")
        _ = probed(config[KEY]["positions"], length) if length else None
    except ValueError as error:
        yield f"divergence: {error}"
    for model in config["models"]:
        yield from _uncounted(config, model)


def _uncounted(config: Config, model: Model) -> Iterator[str]:
    """Yield a problem if a model's number of tokens is not known."""
    try:
        step = _tokenizer_step(config, model, steps(config, model))
        counted = "vocabulary" in model or metric_components.has_tokenizer(
            model, step, config["study"]
        )
    except (ValueError, KeyError, IndexError, OSError):
        return  # reported elsewhere, or checked once the hub has been queried
    if not counted:
        yield (
            f"models: {model['name']}: divergence: logits beyond the tokenizer's tokens are "
            f"padding and left out, but the model has no tokenizer.json at step {step} that says "
            f"how many there are; put one beside its weights, or give the model `vocabulary`"
        )


def _tokenizer_step(config: Config, model: Model, own: Sequence[int]) -> int:
    """Return the step whose tokenizer is used.

    That is the reference step, so that adding a step changes nothing; for hub models, which have
    one tokenizer each, the last step, as everywhere.
    """
    return own[-1] if model["source"] == "hub" else reference(config, own)
