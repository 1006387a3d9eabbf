"""Similarity of one checkpoint's activations to the reference's, for every layer and head."""

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from tending.core.aliases import Warn
from tending.core.arrays import Array
from tending.core.estimates import Estimates
from tending.metrics.similarity import Prepared, Similarity, UndefinedSimilarityError
from tending.metrics.statistics import uncertainty
from tending.study.row_limits import ROWS_AT_ONCE

Index = tuple[int, ...]


class Source(Protocol):
    """Activations whose matrices are read one at a time."""

    shapes: dict[str, tuple[int, ...]]

    def matrix(self, name: str, index: Index) -> Array:
        """Return the (rows, width) matrix of a component at (layer,) or (layer, head)."""


def compare(
    here: Source,
    there: Source,
    components: list[str],
    metrics: dict[str, Similarity],
    warn: Warn,
    rows_per_sequence: int = 1,
) -> dict[str, dict[str, Estimates]]:
    """Compute metric -> component -> scores and their errors, (layers,) or (layers, heads).

    rows_per_sequence: consecutive rows of one sequence, which are not independent.
    An undefined score, as for a head with the same output for every sequence, is NaN together with
    its error, interval and null, and warn(text) names it. So are all scores of heads for a metric
    that depends on coordinates, because for heads only the inner products of outputs are stored.
    Raises ValueError if the shapes differ.
    """
    scores: dict[str, dict[str, Estimates]] = {name: {} for name in metrics}
    for component in components:
        if here.shapes[component] != there.shapes[component]:
            raise ValueError(
                f"{component}: shape {here.shapes[component]} here, {there.shapes[component]} at "
                f"the reference; extract both with the same corpus and model (see `corpus`)"
            )
        outer = here.shapes[component][:-2]
        for name in metrics:
            scores[name][component] = Estimates.undefined(outer, uncertainty.DRAWS)
        taken = _applicable(metrics, component, heads=len(outer) == 2, warn=warn)
        for index in np.ndindex(*outer):
            sides = _Sides(here, there, component, index)
            for name, metric in taken.items():
                try:
                    x, y, prepared = sides.of(metric)
                    estimate = uncertainty.estimate(metric, x, y, rows_per_sequence, prepared)
                    _put(estimate, scores[name][component], index)
                except UndefinedSimilarityError as error:
                    warn(f"{name} of {component} {index} is not defined: {error}")
    return scores


def _put(estimate: uncertainty.Estimate, into: Estimates, index: Index) -> None:
    into.value[index], into.standard_error[index] = estimate.value, estimate.error
    into.low[index], into.high[index] = estimate.low, estimate.high
    into.null_mean[index], into.null_high[index] = estimate.null_mean, estimate.null_high
    into.draws[index] = estimate.draws


class _Sides:
    """The two representations of one layer or head, read when a metric first needs them."""

    def __init__(self, here: Source, there: Source, component: str, index: Index) -> None:
        self._sources = here, there
        self._place = component, index
        # read whole if it fits in memory: permuting sequences for a null needs all rows at once
        self._tall = here.shapes[component][-2] > ROWS_AT_ONCE
        self._rows: tuple[Any, Any, Prepared] | None = None
        self._matrices: tuple[Any, Any, Prepared] | None = None

    def of(self, metric: Similarity) -> tuple[Any, Any, Prepared]:
        """Return both sides and the computations on them that metrics share.

        The sides are whole matrices or, if tall and for a metric that streams, rows in blocks.
        """
        if metric.streams and self._tall:
            readers = [getattr(source, "rows", None) for source in self._sources]
            if all(readers):
                self._rows = self._rows or _prepared(rows(*self._place) for rows in readers if rows)
                return self._rows
        if self._matrices is None:
            self._matrices = _prepared(source.matrix(*self._place) for source in self._sources)
        return self._matrices


def _prepared(sides: Iterable[Any]) -> tuple[Any, Any, Prepared]:
    x, y = sides
    return x, y, Prepared(x, y)


def _applicable(
    metrics: dict[str, Similarity], component: str, heads: bool, warn: Warn
) -> dict[str, Similarity]:
    """Return the metrics that apply to a component; warn(text) names the others."""
    taken = {n: m for n, m in metrics.items() if m.any_coordinates or not heads}
    for name in [n for n in metrics if n not in taken]:
        warn(
            f"{name} of {component} is not defined: it depends on the coordinates, and a head's "
            f"outputs are stored up to rotation"
        )
    return taken
