"""What a study that asks for divergences must satisfy, and the files and settings of theirs."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tending.checkpoints import source
from tending.core import paths, plugins
from tending.core.snakemake_calls import all_noted
from tending.study import metric_components
from tending.study.selection import Config, Model, steps

KEY = "divergence"
USUAL = 128  # sequences, where the study has as many

Positions = str | int | Sequence[int]  # "all", how many, or which (negative from the end)


@all_noted
class Divergence:
    """The divergences of a study: nothing unless its config asks for them."""

    def __init__(self, config: Config, steps: Mapping[str, Sequence[int]]) -> None:
        self._config = config
        self._study: str = config["study"]
        self._models = {model["name"]: model for model in config["models"]}
        self._steps = steps
        self.asked = KEY in config
        self.positions: Positions = config[KEY]["positions"] if self.asked else []
        self.sequences = sequences(config) if self.asked else 0

    def weight_products(self) -> list[str]:
        """Patterns of what is made from weights, if it is asked for."""
        return [paths.REFERENCE, paths.DIVERGENCE] if self.asked else []

    def files(self) -> list[str]:
        """One file for every model and step."""
        return [
            paths.DIVERGENCE.format(study=self._study, model=name, step=step)
            for name in self._models
            for step in self._steps[name]
            if self.asked
        ]

    def reference_steps(self) -> list[str]:
        """The steps that some model's others are compared with, as they stand in paths."""
        return sorted({str(reference(self._config, own)) for own in self._steps.values()})

    def reference_record(self, wildcards: Any) -> str:
        """The record of the step that the others of a model are compared with."""
        step = reference(self._config, self._steps[wildcards.model])
        return paths.CHECKPOINT.format(study=self._study, model=wildcards.model, step=step)

    def tokenizer(self, wildcards: Any) -> list[str]:
        """The tokenizer that says how many of a model's logits are of tokens, if none does else."""
        model = self._models[wildcards.model]
        if "vocabulary" in model:
            return []
        step = _tokenizer_step(self._config, model, self._steps[wildcards.model])
        return [source(model["source"]).tokenizer(model, step, self._study)]

    def vocabulary(self, wildcards: Any) -> int | None:
        """Number of a model's tokens, if the config says it."""
        named = self._models[wildcards.model].get("vocabulary")
        return None if named is None else int(named)

    def version(self) -> str:
        """The stage's version and settings as one text: params are compared as a set."""
        version = plugins.constant("tending.stages.divergence.divergence", "VERSION")
        return f"{version} of {self.sequences} sequences at {self.positions}"


def reference(config: Config, own: Sequence[int]) -> int:
    """The step that the others of a model are compared with; own: its steps, ascending."""
    return own[-1] if config["reference"] == "last" else int(config["reference"])


def sequences(config: Config) -> int:
    """How many sequences are predicted in, the first of the token file."""
    return int(config[KEY].get("sequences", min(USUAL, _rows(config))))


def _rows(config: Config) -> int:
    """Sequences that the study's token file has."""
    return int(max(config["corpus"]["sequences"], config["held_out_loss"]["sequences"]))


def count(positions: Positions, length: int) -> int:
    """How many positions of a sequence of `length` tokens are predicted from."""
    if isinstance(positions, str):
        return length
    return min(positions, length) if isinstance(positions, int) else len(positions)


def probed(positions: Positions, length: int) -> list[int]:
    """Indices of the tokens after which the next one is predicted, ascending from 0.

    A number k of positions is every (length / k)-th, the last included; all where there are no
    more than k. Raises ValueError if a sequence of `length` tokens has no such position, or one
    is named twice.
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
    """Why the divergences that a study asks for cannot be taken."""
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
    """Whether nothing says how many tokens a model has."""
    try:
        step = _tokenizer_step(config, model, steps(config, model))
        counted = "vocabulary" in model or metric_components.has_tokenizer(
            model, step, config["study"]
        )
    except (ValueError, KeyError, IndexError, OSError):
        return  # said elsewhere, or checked again when the hub was asked
    if not counted:
        yield (
            f"models: {model['name']}: divergence: logits beyond the tokenizer's tokens are "
            f"padding and left out, but the model has no tokenizer.json at step {step} that says "
            f"how many there are; put one beside its weights, or give the model `vocabulary`"
        )


def _tokenizer_step(config: Config, model: Model, own: Sequence[int]) -> int:
    """The step whose tokenizer counts.

    The reference's, which an added step leaves as it is; of the hub's one tokenizer per model, the
    last step's, as everywhere.
    """
    return own[-1] if model["source"] == "hub" else reference(config, own)
