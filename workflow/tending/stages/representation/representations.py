"""Metrics of one checkpoint's activations alone, for every layer and head. No files."""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from tending.core.aliases import Warn
from tending.core.arrays import Array
from tending.metrics.algebra.singular_values import Spectrum, singular_values
from tending.metrics.representation import (
    GROUPS,
    Measured,
    Representation,
    UndefinedRepresentationError,
    checked,
    groups,
    interval,
)
from tending.metrics.spectrum import VALUE, SpectrumMetric, quantity

Metric = Representation | SpectrumMetric
Numbers = dict[str, Measured]  # by quantity
LEAST = 2  # fewest sequences for a spectrum


class Source(Protocol):
    """Activations whose matrices are read one at a time."""

    shapes: dict[str, tuple[int, ...]]

    def matrix(self, name: str, index: tuple[int, ...]) -> Array:
        """Return the (rows, width) matrix of a component at (layer,) or (layer, head)."""


def measure(
    source: Source,
    components: list[str],
    metrics: Mapping[str, Metric],
    rows_per_sequence: int,
    warn: Warn,
) -> dict[str, dict[str, dict[str, Spectrum]]]:
    """Compute metric -> quantity -> component -> (layers, 3) or (layers, heads, 3).

    The last axis is value, low, high. Undefined values are NaN, and warn(text) names them. Details
    of a metric beyond its value, such as the range of a fit, have no interval.
    """
    found: dict[str, dict[str, dict[str, Spectrum]]] = {name: {} for name in metrics}
    for component in components:
        outer = source.shapes[component][:-2]
        for index in np.ndindex(*outer):
            x = source.matrix(component, index)
            of_layer = of_matrix(x, metrics, rows_per_sequence, f"{component} {index}", warn)
            for name, numbers in of_layer.items():
                for told, measured in numbers.items():
                    places = found[name].setdefault(told, {})
                    empty = np.full((*outer, 3), np.nan)
                    places.setdefault(component, empty)[index] = measured
    return found


def of_matrix(
    x: Array, metrics: Mapping[str, Metric], rows_per_sequence: int, place: str, warn: Warn
) -> dict[str, Numbers]:
    """Compute metric -> quantity -> value and interval of one (rows, width) matrix."""
    spectra: list[Spectrum] = []
    found: dict[str, Numbers] = {}
    for name, metric in metrics.items():
        if isinstance(metric, SpectrumMetric):
            spectra = spectra or activation_spectra(x, rows_per_sequence)
            found[name] = _of_spectra(name, metric, spectra)
            continue
        try:
            found[name] = {name: metric.compute(x, rows_per_sequence)}
        except UndefinedRepresentationError as error:
            warn(f"{name} of {place} is not defined: {error}")
            found[name] = {name: Measured(math.nan)}
    return found


def activation_spectra(x: Array, rows_per_sequence: int = 1) -> list[Spectrum]:
    """Compute singular values of centred activations: of all rows, then without each group.

    x: (rows, width). Centring reduces the rank below the number of rows, so there are
    min(rows - 1, width) values; all are 0 where every row is the same. With too few sequences for
    groups, only the first spectrum is returned.
    """
    x = checked(x, rows_per_sequence, LEAST)
    group = groups(len(x), rows_per_sequence)
    parts = [] if group is None else [x[group != g] for g in range(GROUPS)]
    return [_centred_spectrum(part) for part in (x, *parts)]


def _centred_spectrum(x: Spectrum) -> Spectrum:
    count = min(len(x) - 1, x.shape[1])
    without_mean = x - x.mean(axis=0)
    rounding = np.finfo(np.float64).eps * math.sqrt(len(x)) * np.linalg.norm(x)
    if np.linalg.norm(without_mean) <= rounding:
        return np.zeros(count)
    return singular_values(without_mean)[:count]


def _of_spectra(name: str, metric: SpectrumMetric, spectra: list[Spectrum]) -> Numbers:
    """Compute a metric with details and its interval, by a delete-a-group jackknife."""
    whole, *without = spectra
    numbers = {quantity(name, d): Measured(float(v)) for d, v in metric.numbers(whole).items()}
    value = numbers[quantity(name, VALUE)].value
    scores = np.array([float(metric.compute(s)) for s in without])
    if len(scores) and np.isfinite(scores).all():
        spread = float(((scores - scores.mean()) ** 2).sum())
        error = math.sqrt((GROUPS - 1) / GROUPS * spread)
        numbers[quantity(name, VALUE)] = interval(value, error)
    return numbers
