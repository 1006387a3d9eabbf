"""Scores of one checkpoint's activations against the reference's, for every layer and head."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tending.metrics.similarity import Array, Similarity, UndefinedSimilarityError

Warn = Callable[[str], None]


class Source(Protocol):
    """Activations whose matrices are read one at a time."""

    shapes: dict[str, tuple[int, ...]]

    def matrix(self, name: str, index: tuple[int, ...]) -> Array:
        """The (rows, width) matrix of a component at (layer,) or (layer, head)."""


def compare(
    here: Source, there: Source, components: list[str], metrics: dict[str, Similarity], warn: Warn
) -> dict[str, dict[str, npt.NDArray[np.float64]]]:
    """metric -> component -> scores, (layers,) or (layers, heads).

    A score that is not defined, as for a head that gives the same output for every sequence, is
    NaN, and warn(text) names it. So are all scores of heads for a metric that depends on
    coordinates: of a head only the inner products of its outputs are stored. Raises ValueError if
    the shapes differ.
    """
    scores: dict[str, dict[str, npt.NDArray[np.float64]]] = {name: {} for name in metrics}
    for component in components:
        if here.shapes[component] != there.shapes[component]:
            raise ValueError(
                f"{component}: shape {here.shapes[component]} here, {there.shapes[component]} at "
                f"the reference; extract both with the same corpus and model (see `corpus`)"
            )
        outer = here.shapes[component][:-2]
        for name in metrics:
            scores[name][component] = np.full(outer, np.nan)
        taken = _applicable(metrics, component, heads=len(outer) == 2, warn=warn)
        for index in np.ndindex(*outer):
            x, y = here.matrix(component, index), there.matrix(component, index)
            for name, metric in taken.items():
                try:
                    scores[name][component][index] = metric.compare(x, y)
                except UndefinedSimilarityError as error:
                    warn(f"{name} of {component} {index} is not defined: {error}")
    return scores


def _applicable(
    metrics: dict[str, Similarity], component: str, heads: bool, warn: Warn
) -> dict[str, Similarity]:
    """The metrics that a component can be compared by; warn(text) names the others."""
    taken = {n: m for n, m in metrics.items() if m.any_coordinates or not heads}
    for name in [n for n in metrics if n not in taken]:
        warn(
            f"{name} of {component} is not defined: it depends on the coordinates, and a head's "
            f"outputs are stored up to rotation"
        )
    return taken
