"""In which order checkpoints are fetched and used: one after the other, not stage after stage."""

from typing import Any, Protocol

from tending.core.snakemake_internals import all_noted
from tending.hub.weight_shelf import Entry

Wildcards = Any  # Snakemake's, with .model and .step


class Study(Protocol):
    """What is asked of a plan."""

    study: str

    def per_checkpoint(self, pattern: str) -> list[str]:
        """One text for every model and step."""


@all_noted
class Turns:
    """Priorities of jobs, by the place of their checkpoint in the study."""

    def __init__(self, study: Study) -> None:
        self._study = study.study
        order = study.per_checkpoint("{model} {step}")
        self._shares = {name: 1 / (2 + i) for i, name in enumerate(order)}

    def fetching(self, wildcards: Wildcards) -> float:
        """From 0 to 2, from 1 on for what an earlier run has begun: it takes up a place already."""
        entry = Entry(self._study, wildcards.model, int(wildcards.step))
        return self._share(wildcards) + (entry.folder.exists() or entry.incoming.exists())

    def using(self, wildcards: Wildcards) -> float:
        """From 5 to 6: what is there is used before more is fetched, all of it by all stages."""
        return 5 + self._share(wildcards)

    def _share(self, wildcards: Wildcards) -> float:
        return self._shares.get(f"{wildcards.model} {wildcards.step}", 0.0)
