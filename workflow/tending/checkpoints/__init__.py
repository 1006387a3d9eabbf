"""Where checkpoints come from, one file per source, found by its name in the config.

A source file has the functions of `Source`, all quick and without torch, because planning calls
them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from tending.core import plugins

Model = Mapping[str, Any]


class Source(Protocol):
    """What a source file defines, besides literals that are read without importing it: REQUIRED
    and OPTIONAL, the keys of a model in the config that mean something to it, and REMOTE, whether
    its checkpoints are fetched for as long as they are needed.
    """

    def steps(self, model: Model, study: str) -> list[int] | None:
        """The steps of which this model has a checkpoint, ascending; None if not known yet."""

    def folder(self, model: Model, step: int, study: str) -> Path:
        """The folder of one checkpoint."""

    def files(self, model: Model, step: int, study: str) -> list[str]:
        """Files whose change makes the checkpoint another one, for Snakemake to watch."""

    def revision(self, model: Model, step: int, study: str) -> str:
        """Name of the checkpoint at its source."""

    def total_steps(self, model: Model, asked: list[int], study: str) -> int:
        """Length of the training in steps, of which a step is a fraction."""

    def family(self, model: Model, step: int, study: str) -> str:
        """The model family, `model_type` in config.json."""

    def config(self, model: Model, step: int, study: str) -> Mapping[str, Any]:
        """config.json, or as much of it as the model's sizes need."""

    def tokenizer(self, model: Model, step: int, study: str) -> str:
        """The tokenizer.json of the model."""

    def context(self, model: Model, step: int, study: str) -> int:
        """The longest sequence the model can read, in tokens."""


def source(name: str) -> Source:
    """The source called `name`; ValueError with the known ones otherwise."""
    return cast(Source, plugins.load("tending.checkpoints", name, "model source"))
