"""Rank correlation of two quantities of the same layers, within models and pooled over them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from math import factorial, prod

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from tending.core.arrays import Matrix

Indices = npt.NDArray[np.int64]
DRAWS = 9_999  # random permutations, used where there are more than this in all
CHUNK = 2_000_000  # numbers in one batch of permuted ranks: 16 MB
NORMAL_95 = 1.959963984540054
LEAST = 3  # units of one model; with two, any correlation is -1 or 1


@dataclass(frozen=True)
class Association:
    """Spearman correlations of every row of one matrix with every row of another, all (S, T).

    value: in [-1, 1]; low, high: its 95 % interval; p_value: two-sided, by permutation;
    n: number of units that enter. NaN where undefined, see `associate`.
    """

    value: Matrix
    low: Matrix
    high: Matrix
    p_value: Matrix
    n: Indices


def associate(x: Matrix, y: Matrix, strata: npt.ArrayLike, seed: int = 0) -> Association:
    """Correlate every row of x, (S, units), with every row of y, (T, units), within strata.

    strata: (units,), the model of every unit. Ranks are computed within each stratum (ties share
    their mean rank, infinity is the largest) and scaled to mean 0 and variance 1, so that
    differences between strata have no effect. The value is the Pearson correlation of these scores
    over all units: the mean of the strata's Spearman coefficients, weighted by units - 1, the
    inverse of their variance under no association (Taylor 1987 compares such weights). With one
    stratum it is Spearman's coefficient. NaN means missing: a unit enters for a pair of rows if
    both have it, a stratum if both rows vary in it. Undefined for an effective number of units,
    n - strata + 1, below 3. Raises ValueError if the shapes differ.
    """
    groups = np.unique(np.asarray(strata), return_inverse=True)[1]
    if not x.shape[1] == y.shape[1] == groups.size:
        raise ValueError(f"{x.shape[1]} and {y.shape[1]} units, but {groups.size} have a stratum")
    shape = x.shape[0], y.shape[0]
    value, p_value = np.full(shape, np.nan), np.full(shape, np.nan)
    effective, n = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    for rows, has_x in _alike(~np.isnan(x)):
        for columns, has_y in _alike(~np.isnan(y)):
            at, both = np.ix_(rows, columns), has_x & has_y
            parts = x[rows][:, both], y[columns][:, both], groups[both], seed
            value[at], p_value[at], effective[at], n[at] = _complete(*parts)
    low, high = interval(value, effective)
    return Association(value, low, high, p_value, n)


def interval(value: npt.ArrayLike, n: npt.ArrayLike) -> tuple[Matrix, Matrix]:
    """Compute the 95 % interval of a Spearman correlation of n units; NaN for n < 4.

    Fisher's z with variance (1 + value^2 / 2) / (n - 3) (Bonett & Wright 2000). At -1 and 1, where
    z is infinite, one end of the interval is the value itself, and the other is that of the
    coefficient half a step away, 6 / (n^3 - n).
    """
    rho, units = np.broadcast_arrays(np.asarray(value, float), np.asarray(n, float))
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.where(units >= 4, 1 - 6 / (units**3 - units), np.nan)
        inside = np.clip(rho, -most, most)
        half = NORMAL_95 * np.sqrt((1 + inside**2 / 2) / (units - 3))
        low, high = np.tanh(np.arctanh(inside) - half), np.tanh(np.arctanh(inside) + half)
    return np.where(rho < -most, -1.0, low), np.where(rho > most, 1.0, high)


def _alike(present: npt.NDArray[np.bool_]) -> Iterator[tuple[Indices, npt.NDArray[np.bool_]]]:
    """Group rows that have the same units present; yield their indices and those units."""
    patterns, which = np.unique(present, axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        yield np.flatnonzero(which.ravel() == i), pattern


def _complete(
    x: Matrix, y: Matrix, groups: Indices, seed: int
) -> tuple[Matrix, Matrix, Matrix, Indices]:
    """Return value, p-value, effective number of units and number of units, with none missing."""
    order = np.argsort(groups, kind="stable")
    sizes = np.unique(groups, return_counts=True)[1]
    (zx, vx), (zy, vy) = (_scores(rows[:, order], sizes) for rows in (x, y))
    counted = vx[:, None] & vy[None]  # (S, T, strata)
    free = (counted * (sizes - 1)).sum(axis=-1)  # a constant row's scores are 0
    defined = free >= LEAST - 1
    with np.errstate(invalid="ignore"):
        value = np.where(defined, np.clip(zx @ zy.T / free, -1, 1), np.nan)
        p_value = np.where(defined, _p_values(zx, zy, sizes, seed), np.nan)
    return value, p_value, free + 1.0, (counted * sizes).sum(axis=-1)


def _scores(rows: Matrix, sizes: Indices) -> tuple[Matrix, npt.NDArray[np.bool_]]:
    """Standardise ranks within strata, 0 where all tie; also return where a row varies.

    Returns (rows, units) and (rows, strata).
    """
    scores, varies = np.zeros(rows.shape), np.zeros((len(rows), len(sizes)), dtype=bool)
    for i, part in enumerate(_parts(sizes)):
        ranks = rankdata(rows[:, part], axis=1) - (sizes[i] + 1) / 2
        varies[:, i] = ranks.any(axis=1)
        spread = np.sqrt((ranks**2).sum(axis=1, keepdims=True) / max(sizes[i] - 1, 1))
        np.divide(ranks, spread, out=scores[:, part], where=spread > 0)
    return scores, varies


def _parts(sizes: Indices) -> list[slice]:
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]


def _p_values(zx: Matrix, zy: Matrix, sizes: Indices, seed: int) -> Matrix:
    """Return the share of permutations within strata with at least as strong a correlation.

    Two-sided. Enumerates all permutations if there are at most DRAWS; otherwise draws DRAWS at
    random and adds the observed order, (1 + k) / (1 + DRAWS) (Phipson & Smyth 2010). All pairs use
    the same permutations.
    """
    observed = np.abs(zx @ zy.T) - 1e-9 * zx.shape[1]  # ties must not be broken by rounding
    total = prod(factorial(int(size)) for size in sizes)
    exact = total <= DRAWS
    orders = _every_order(sizes) if exact else _random_orders(sizes, seed, max(len(zy), 1))
    extreme = np.zeros(observed.shape)
    for batch in orders:
        for permuted in np.array_split(batch, max(1, len(batch) * zy.size // CHUNK)):
            products = np.tensordot(zy[:, permuted], zx, axes=(2, 1))  # (T, orders, S)
            extreme += (np.abs(products) >= observed.T[:, None]).sum(axis=1).T
    return extreme / total if exact else (1 + extreme) / (1 + DRAWS)


def _every_order(sizes: Indices) -> Iterator[Indices]:
    """Yield all orders that keep units in their stratum, as one batch, (orders, units)."""
    orders = np.zeros((1, 0), dtype=np.int64)
    for part, size in zip(_parts(sizes), sizes, strict=True):
        own = np.array(list(permutations(range(part.start, part.stop)))).reshape(-1, int(size))
        orders = np.hstack([np.repeat(orders, len(own), axis=0), np.tile(own, (len(orders), 1))])
    yield orders


def _random_orders(sizes: Indices, seed: int, rows: int) -> Iterator[Indices]:
    """Yield DRAWS random orders that keep units in their stratum, in batches, (orders, units).

    rows: number of rows that will be permuted, which limits the size of a batch.
    """
    random, parts, units = np.random.default_rng(seed), _parts(sizes), int(sizes.sum())
    batch = max(1, CHUNK // (units * rows))
    for start in range(0, DRAWS, batch):
        keys = random.random((min(batch, DRAWS - start), units))
        yield np.hstack([np.argsort(keys[:, part], axis=1) + part.start for part in parts])
