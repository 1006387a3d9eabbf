"""Influence of rows on biased and debiased CKA: exact leave-one-out scores, and the null.

The jackknife variance is the sum of squared deviations of the leave-one-out scores. For a mean
over pairs it counts the variance due to single pairs twice (Efron & Stein, 1981), which matters
for white spectra, where that is most of the variance; `excess` is this part, to subtract once.
"""

import math
from collections.abc import Callable

import numpy as np

from tending.core.arrays import Matrix
from tending.metrics.similarity import Influence, Null
from tending.metrics.similarity._moments import Moments
from tending.metrics.similarity._permutations import LEAST
from tending.metrics.similarity._permutations import null as of_permutations

ROUNDING = 1e-12  # of a squared norm; a smaller remainder is rounding

# products and diagonals of two kernels, and each kernel times the other's diagonal -> (n,)
Without = Callable[[Matrix, Matrix, Matrix, Matrix, Matrix], Matrix]


def biased(moments: Moments, with_null: bool = True) -> Influence:
    """Compute the influence of rows on <K, L> / (|K| |L|)."""
    x, y = moments.x, moments.y
    squares = float(x.squares.sum()), float(y.squares.sum())
    scale = math.sqrt(squares[0]) * math.sqrt(squares[1])
    score = float(moments.products.sum()) / scale
    excess = _excess(moments.n, score, squares, x.part, y.part)
    null = chance(moments, scale) if with_null else None
    deviations = _deviations(moments, biased_without)
    return Influence(score, deviations, _possible(excess, deviations, len(x.part)), null)


def debiased(moments: Moments, with_null: bool = True) -> Influence:
    """Compute the influence of rows on the same ratio for U-centred kernels."""
    n = moments.n
    a, b, c = (u_inner(float(q.sum()), *sums[:2]) for q, *sums in _sums(moments))
    scale = math.sqrt(b) * math.sqrt(c)
    excess = _excess(n, a / scale, (b, c), *moments.u_parts)
    by_chance = None
    if with_null and n >= LEAST:
        by_chance = of_permutations(n, *moments.motifs, weight=0, mean=0, scale=scale)
    deviations = _deviations(moments, u_without)
    excess = _possible(excess, deviations, len(moments.sample))
    return Influence(a / scale, deviations, excess, by_chance)


def _possible(excess: float, deviations: Matrix, sampled: int) -> float:
    """Cap an excess estimated from a sample of rows at half of the jackknife variance.

    On average the estimate does not exceed that, but a single row of large norm in the sample can
    inflate it.
    """
    if sampled == len(deviations):
        return excess
    return float(np.fmin(excess, deviations @ deviations / 2))


def chance(moments: Moments, scale: float) -> Null | None:
    """Compute the null of <K, L> / scale under permutation; None for fewer than LEAST rows."""
    n, k, other = moments.n, moments.x.diagonal, moments.y.diagonal
    if n < LEAST:
        return None
    mean = float(k.sum() * other.sum()) / (n - 1)
    return of_permutations(n, *moments.motifs, weight=n / (n - 2), mean=mean, scale=scale)


def jackknifed(without: Matrix) -> Matrix:
    """Convert leave-one-out scores to deviations, (n,), whose squares sum to the variance."""
    n = len(without)
    return np.asarray((without.mean() - without) * math.sqrt((n - 1) / n))


def biased_without(q: Matrix, k: Matrix, other: Matrix, _: Matrix, __: Matrix) -> Matrix:
    """Compute <K, L> of kernels re-centred without each row, (n,)."""
    a = len(q) / (len(q) - 1)
    return np.asarray(q.sum() - 2 * a * q + a * a * k * other)


def u_inner(inner: float, k: Matrix, other: Matrix) -> float:
    """Compute the inner product of two U-centred kernels from <K, L> and the diagonals, (n,).

    Rows of K sum to 0, so those of K without its diagonal k sum to -k, and the unbiased estimator
    needs nothing else.
    """
    n = len(k)
    sums = float(k.sum()) * float(other.sum())
    return inner - float(k @ other) * n / (n - 2) + sums / ((n - 1) * (n - 2))


def u_without(q: Matrix, k: Matrix, other: Matrix, kl: Matrix, lk: Matrix) -> Matrix:
    """Compute the inner product of the U-centred kernels without each row, (n,).

    Without their diagonals, the kernels' rows sum to -k and -l. Removing a row also removes its
    entries from the sums of all other rows.
    """
    n, both = len(q), k * other
    entries = q - both
    inner = entries.sum() - 2 * entries
    rows = both.sum() - both + (kl - both) + (lk - both) + entries
    total = (2 * k - k.sum()) * (2 * other - other.sum())
    return np.asarray(inner - 2 / (n - 3) * rows + total / ((n - 2) * (n - 3)))


def _sums(moments: Moments) -> list[tuple[Matrix, Matrix, Matrix, Matrix, Matrix]]:
    """Return the arguments of the functions above for the pairs (K, L), (K, K) and (L, L)."""
    x, y = moments.x, moments.y
    return [
        (moments.products, x.diagonal, y.diagonal, x.other, y.other),
        (x.squares, x.diagonal, x.diagonal, x.own, x.own),
        (y.squares, y.diagonal, y.diagonal, y.own, y.own),
    ]


def _deviations(moments: Moments, without: Without) -> Matrix:
    """Compute deviations of the ratio; NaN where removing a row leaves a kernel no variation."""
    inner, *squares = (without(*sums) for sums in _sums(moments))
    whole = moments.x.squares.sum(), moments.y.squares.sum()
    left = [np.where(s > ROUNDING * w, s, np.nan) for s, w in zip(squares, whole, strict=True)]
    return jackknifed(inner / np.sqrt(left[0]) / np.sqrt(left[1]))


def _excess(n: int, score: float, squares: tuple[float, float], x: Matrix, y: Matrix) -> float:
    """Variance of the score due to single pairs of rows, which the jackknife counts twice.

    Computed from the score's derivative by pairs, centred over pairs; x and y, (m, m), are the
    kernels of all rows or of a sample of them.
    """
    m, (b, c) = len(x), squares
    # x y - s / 2 (x^2 + y^2) = (1 - s) x y - s / 2 (x - y)^2, which cancels little near s = 1
    x, y = x / math.sqrt(b), y / math.sqrt(c)
    apart = x - y
    apart *= apart
    apart *= score / 2
    x *= y
    x *= 1 - score
    x -= apart
    return pair_excess(x) * n * (n - 1) / (m * (m - 1))


def pair_excess(pairs: Matrix) -> float:
    """Twice the sum of squares about the mean of a score's parts by pairs of rows, (n, n)."""
    n = len(pairs)
    np.fill_diagonal(pairs, 0)
    squares = float(np.vdot(pairs, pairs)) - float(pairs.sum()) ** 2 / (n * (n - 1))
    return 2 * squares
