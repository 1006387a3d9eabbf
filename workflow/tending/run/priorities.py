"""Order of fetching and using checkpoints: checkpoint by checkpoint, not stage by stage."""

from typing import Any, Protocol

from tending.core.snakemake_internals import all_noted
from tending.hub.weight_shelf import Entry

Wildcards = Any  # Snakemake's, with .model and .step


class Study(Protocol):
    """The part of a plan that priorities need."""

    study: str

    def per_checkpoint(self, pattern: str) -> list[str]:
        """Return one text for every model and step."""


@all_noted
class Turns:
    """Priorities of jobs, by the place of their checkpoint in the study."""

    def __init__(self, study: Study) -> None:
        self._study = study.study
        order = study.per_checkpoint("{model} {step}")
        self._shares = {name: 1 / (2 + i) for i, name in enumerate(order)}

    def fetching(self, wildcards: Wildcards) -> float:
        """Return 0 to 2, from 1 on if an earlier run began the fetch: it already has a slot."""
        entry = Entry(self._study, wildcards.model, int(wildcards.step))
        return self._share(wildcards) + (entry.folder.exists() or entry.incoming.exists())

    def using(self, wildcards: Wildcards) -> float:
        """Return 5 to 6: all stages use the present checkpoints before more are fetched."""
        return 5 + self._share(wildcards)

    def _share(self, wildcards: Wildcards) -> float:
        return self._shares.get(f"{wildcards.model} {wildcards.step}", 0.0)
