"""Means over seeds and over pairs of seeds, with their 95 % intervals."""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Array = npt.NDArray[np.float64]
BRACKET = "_bracket"  # ends a quantity whose low and high are what checkpoints leave open


class Pooled(NamedTuple):
    """A mean and the ends of its interval; the ends are NaN where there is none."""

    value: Array
    low: Array
    high: Array


def student(degrees: npt.ArrayLike) -> Array:
    """Half-width of a 95 % interval in standard errors; NaN below one degree of freedom."""
    df = np.asarray(degrees, dtype=np.float64)
    return np.where(df >= 1, stdtrit(np.maximum(df, 1), 0.975), np.nan)


def mean(values: npt.ArrayLike, axis: int = 0) -> Pooled:
    """Mean over seeds with Student's interval.

    values: seeds along `axis`. The interval is of the mean over all seeds that might have been
    drawn, of as many as there are; of one seed there is none. NaN where any seed is NaN.
    """
    seeds = np.asarray(values, dtype=np.float64)
    n = seeds.shape[axis]
    centre = seeds.mean(axis=axis)
    if n < 2:
        return _with_error(centre, np.full_like(centre, np.nan), n - 1)
    with np.errstate(invalid="ignore"):  # an infinite value has no spread
        return _with_error(centre, seeds.std(axis=axis, ddof=1) / np.sqrt(n), n - 1)


def mean_over_pairs(scores: npt.ArrayLike, seeds: int) -> Pooled:
    """Mean over all pairs of seeds, with an interval by leaving out one seed at a time.

    scores: (seeds (seeds - 1) / 2, ...), the pairs as itertools.combinations gives them. Pairs
    share seeds, so they are not independent; the jackknife over seeds (Arvesen 1969) counts each
    seed once. Its variance is on average not too small (Efron & Stein 1981), the interval is
    Student's of seeds - 1 degrees. With two seeds there is none. NaN where any pair is NaN.
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
