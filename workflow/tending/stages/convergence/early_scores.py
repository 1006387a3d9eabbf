"""Scores early in training: median over layers, with an interval over sequences."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tending.core.store import Scores, part_of
from tending.core.tables import Columns, Where, where
from tending.stages.convergence import component_filter
from tending.stages.convergence.layer_median import median


def early_quantity(metric: str) -> str:
    """Name the median over layers at the last checkpoint within the early part of training."""
    return f"{metric}_early_score"


class _Median(NamedTuple):
    place: Where
    layers: int
    value: float
    low: float
    high: float


class EarlyScores:
    """Median scores at each model's last early checkpoint; files are added in ascending steps."""

    def __init__(
        self,
        metrics: Sequence[str],
        early: float,
        training_steps: Mapping[str, int],
        only: Mapping[str, list[str]] | None = None,
    ) -> None:
        """Initialise without scores.

        early: a fraction of training. only: components of each metric that is restricted to some.
        """
        self._metrics, self._early, self._only = metrics, early, only or {}
        self._training_steps = training_steps
        self._found: dict[tuple[str, str, str], _Median] = {}

    def add(self, scores: Scores) -> None:
        """Add the scores of whole layers at a model's next checkpoint.

        The reference step is skipped, because its scores are 1 by construction.
        """
        place = where(scores.attributes, self._training_steps)
        if place.progress > self._early or place.step == scores.attributes.get("reference_step"):
            return
        for metric in self._metrics:
            for name, estimates in scores.metrics[metric].items():
                of_layers = estimates.value.ndim == 1 and not part_of(name)[1]
                if of_layers and component_filter.taken(self._only, metric, name):
                    found = median(estimates)
                    ends = (float(e[0]) for e in (found.value, found.low, found.high))
                    key = (place.model, metric, name)
                    self._found[key] = _Median(place, estimates.value.size, *ends)

    def blocks(self) -> list[Columns]:
        """Return rows of the table `stabilisation`, without a layer.

        A model without an early checkpoint has none.
        """
        blocks: list[Columns] = []
        for (_, metric, name), found in self._found.items():
            component, _, definition = part_of(name)
            ends = {"value": [found.value], "low": found.low, "high": found.high}
            part = {"component": component, "definition": definition}
            quantity = early_quantity(metric)
            blocks.append(
                {**vars(found.place), **part, "quantity": quantity, **ends, "n": found.layers}
            )
        return blocks
