"""Stabilisation in resamples of the sequences: 95 % intervals of the brackets.

A resample weights sequences alike at every step and layer, so the scores of one draw form a whole
trajectory with its own settling time. Over the draws, `low` is the 2.5 % quantile of the brackets'
lower ends and `high` the 97.5 % quantile of their upper ends; `value` is the median of the upper
ends or, for shares of layers, of the lower ends. A draw that never settles counts as later than all
that do. A score that is undefined for subsets of the sequences has no resamples, and therefore no
interval.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tending.core.store import Scores, part_of
from tending.core.tables import Columns
from tending.metrics.statistics.stabilisation import Ends, Settling
from tending.stages.convergence import component_filter
from tending.stages.convergence.stabilisation_rows import (
    fraction_quantity,
    share_quantity,
    step_quantity,
)

LOW, MIDDLE, HIGH = 0.025, 0.5, 0.975

Cells = npt.NDArray[np.bool_]


def interval_quantity(quantity: str) -> str:
    """Name the interval of a stabilisation quantity over resamples of the sequences."""
    return f"{quantity}_interval"


class Resamples:
    """Settling of the trajectories of all draws of a study; files are added in ascending steps."""

    def __init__(
        self,
        metrics: Sequence[str],
        thresholds: Sequence[float],
        only: Mapping[str, list[str]] | None = None,
    ) -> None:
        """Initialise without scores. only: components of each metric that is restricted to some."""
        self._metrics, self._thresholds, self._only = metrics, thresholds, only or {}
        self._settling: dict[tuple[str, str, str], Settling] = {}
        self._unknown: dict[tuple[str, str, str], Cells] = {}
        self._places: dict[str, dict[str, Any]] = {}

    def add(self, scores: Scores) -> None:
        """Add the scores of a model's next checkpoint; ValueError if its steps do not ascend."""
        model, step = str(scores.attributes["model"]), int(scores.attributes["step"])
        place = {name: scores.attributes[name] for name in ("study", "parameters")}
        self._places[model] = {**place, "model": model}
        for metric in self._metrics:
            for name, estimates in scores.metrics[metric].items():
                if not component_filter.taken(self._only, metric, name):
                    continue
                key = (model, name, metric)
                settling = self._settling.setdefault(key, Settling(self._thresholds))
                settling.add(step, estimates.draws)
                lacking = np.isnan(estimates.draws).any(axis=-1) & np.isfinite(estimates.value)
                self._unknown[key] = self._unknown.get(key, np.zeros_like(lacking)) | lacking

    def blocks(self, early: float, training_steps: Mapping[str, int]) -> list[Columns]:
        """Return rows of the table `stabilisation`; early: fraction of training called early."""
        return [
            block
            for (model, name, metric), settling in self._settling.items()
            for threshold in self._thresholds
            for block in _blocks(
                {**self._places[model], **_part(name)},
                _known(settling.brackets(threshold), self._unknown[model, name, metric]),
                (metric, threshold),
                training_steps[model],
                None if part_of(name)[1] else early,
            )
        ]


def _part(name: str) -> dict[str, str]:
    component, _, definition = part_of(name)
    return {"component": component, "definition": definition}


def _known(ends: tuple[Ends, Ends], unknown: Cells) -> tuple[Ends, Ends]:
    """Set all draws to NaN for cells without resamples at some step."""
    low, high = (np.where(unknown[..., None], np.nan, end) for end in ends)
    return low, high


def _blocks(
    common: dict[str, Any],
    ends: tuple[Ends, Ends],
    what: tuple[str, float],
    training_steps: int,
    early: float | None,
) -> list[Columns]:
    """Return rows of one component, metric and threshold.

    ends: ([layers[, heads],] draws), in steps; NaN where unknown, which leaves the layer's interval
    and those over layers empty. early: None for heads, which have no summary over layers; nor have
    components without layers.
    """
    *outer, draws = ends[0].shape
    places = [place.ravel() for place in np.indices(outer)]
    cells = dict(zip(("layer", "head"), places, strict=False))
    early = early if outer else None
    blocks: list[Columns] = []
    for quantity, unit in ((fraction_quantity, training_steps), (step_quantity, 1)):
        own = {**common, "quantity": interval_quantity(quantity(*what)), "n": draws}
        low, high = (end.reshape(-1, draws) / unit for end in ends)
        blocks.append({**own, **cells, **_interval(low, high)})
        if early is not None:
            medians = (np.median(end, axis=0, keepdims=True) for end in (low, high))
            blocks.append({**own, **_interval(*medians)})
    if early is not None:
        own = {**common, "quantity": interval_quantity(share_quantity(*what)), "n": draws}
        certain, possible = _shares(*ends, early * training_steps)
        middle = {"value": _quantile(certain, MIDDLE)}
        blocks.append({**own, **_interval(certain, possible), **middle})
    return blocks


def _shares(low: Ends, high: Ends, limit: float) -> tuple[Ends, Ends]:
    """Return the share of layers certainly and possibly settled by `limit`, (1, draws) each."""
    certain = (high <= limit).mean(axis=0, keepdims=True)
    possible = np.maximum(certain, (low < limit).mean(axis=0, keepdims=True))
    unknown = np.isnan(high).any(axis=0, keepdims=True)
    return np.where(unknown, np.nan, certain), np.where(unknown, np.nan, possible)


def _interval(low: Ends, high: Ends) -> dict[str, Ends]:
    """Reduce ends of brackets, (cells, draws), to columns of (cells,)."""
    return {
        "value": _quantile(high, MIDDLE),
        "low": _quantile(low, LOW),
        "high": _quantile(high, HIGH),
    }


def _quantile(ends: Ends, share: float) -> Ends:
    """Return the smallest draw that at least this share of draws do not exceed; NaN if infinite.

    Draws are not interpolated: nothing was measured between checkpoints, and draws may be infinite.
    """
    at = math.ceil(share * ends.shape[-1]) - 1
    found = np.sort(ends, axis=-1)[..., at]
    return np.where(np.isfinite(found), found, np.nan)
