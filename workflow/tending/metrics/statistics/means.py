"""Means over independent units and over pairs of them, with their 95 % intervals."""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from tending.core.arrays import Floats

BRACKET = "_bracket"  # suffix of a quantity whose low and high reflect the checkpoints' spacing


class Pooled(NamedTuple):
    """A mean and the ends of its interval; the ends are NaN where there is none."""

    value: Floats
    low: Floats
    high: Floats


def student(degrees: npt.ArrayLike) -> Floats:
    """Half-width of Student's 95 % interval in standard errors; NaN below 1 degree of freedom."""
    df = np.asarray(degrees, dtype=np.float64)
    return np.where(df >= 1, stdtrit(np.maximum(df, 1), 0.975), np.nan)


def mean(values: npt.ArrayLike, axis: int = 0) -> Pooled:
    """Compute the mean over independent units, such as seeds, with Student's interval.

    values: units along `axis`. The interval is for the mean over the population of units; a single
    unit has none. NaN where any unit is NaN.
    """
    return with_error(values, axis)[0]


def with_error(values: npt.ArrayLike, axis: int = 0) -> tuple[Pooled, Floats]:
    """Compute the same as `mean`, and its standard error, which is NaN for a single unit."""
    units = np.asarray(values, dtype=np.float64)
    n = units.shape[axis]
    centre = units.mean(axis=axis)
    error = np.full_like(centre, np.nan)
    if n > 1:
        with np.errstate(invalid="ignore"):  # an infinite value has no spread
            error = np.asarray(units.std(axis=axis, ddof=1) / np.sqrt(n))
    return _with_error(centre, error, n - 1), error


def mean_over_pairs(scores: npt.ArrayLike, seeds: int) -> Pooled:
    """Compute the mean over all pairs of seeds, with an interval by the jackknife over seeds.

    scores: (seeds (seeds - 1) / 2, ...), pairs in the order of itertools.combinations. Pairs share
    seeds, so they are not independent; the jackknife leaves out one seed at a time (Arvesen 1969).
    Its variance is on average not too small (Efron & Stein 1981); the interval is Student's with
    seeds - 1 degrees of freedom. Two seeds have none. NaN where any pair is NaN.
    """
    values = np.asarray(scores, dtype=np.float64)
    pairs = np.array(list(combinations(range(seeds), 2)))
    if len(pairs) != len(values):
        raise ValueError(f"{seeds} seeds have {len(pairs)} pairs, got {len(values)} scores")
    centre = values.mean(axis=0)
    if seeds < 3:
        return _with_error(centre, np.full_like(centre, np.nan), 0)
    without = np.stack([values[(pairs != s).all(axis=1)].mean(axis=0) for s in range(seeds)])
    spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return _with_error(centre, np.sqrt((seeds - 1) / seeds * spread), seeds - 1)


def _with_error(centre: Any, error: Any, degrees: int) -> Pooled:
    half = student(degrees) * error
    return Pooled(np.asarray(centre), np.asarray(centre - half), np.asarray(centre + half))
