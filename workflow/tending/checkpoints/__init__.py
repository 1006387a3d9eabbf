"""Sources of checkpoints, one file each, found by its name in the config.

A source file has the functions of `Source`. All are quick and need no torch, because planning
calls them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from tending.core import plugins
from tending.core.aliases import Model


class Source(Protocol):
    """The interface of a source file.

    Besides these functions it defines literals that are read without importing it: REQUIRED and
    OPTIONAL, the keys of a model in the config that it uses, and REMOTE, whether its checkpoints
    are downloaded and kept only as long as they are needed.
    """

    def steps(self, model: Model, study: str) -> list[int] | None:
        """Return the steps at which this model has a checkpoint, ascending; None if unknown."""

    def folder(self, model: Model, step: int, study: str) -> Path:
        """Return the folder of one checkpoint."""

    def files(self, model: Model, step: int, study: str) -> list[str]:
        """Return the files whose change makes it another checkpoint, for Snakemake to watch."""

    def revision(self, model: Model, step: int, study: str) -> str:
        """Return the checkpoint's name at its source."""

    def total_steps(self, model: Model, asked: list[int], study: str) -> int:
        """Return the length of the training run in steps, the denominator of progress."""

    def family(self, model: Model, step: int, study: str) -> str:
        """Return the model family, `model_type` in config.json."""

    def config(self, model: Model, step: int, study: str) -> Mapping[str, Any]:
        """Return config.json, or as much of it as the model's sizes need."""

    def tokenizer(self, model: Model, step: int, study: str) -> str:
        """Return the path of the model's tokenizer.json."""

    def context(self, model: Model, step: int, study: str) -> int:
        """Return the length of the longest sequence the model can read, in tokens."""


def source(name: str) -> Source:
    """Return the source called `name`; raise ValueError with the known ones if there is none."""
    return cast(Source, plugins.load("tending.checkpoints", name, "model source"))
