"""What every row does to biased and debiased CKA: exact scores without it, and what chance gives.

The jackknife variance is the sum of squared deviations of the scores without a row. Of a mean
over pairs it counts the part that belongs to single pairs twice (Efron & Stein, 1981), which
shows for white spectra, where that part is most of the variance; `excess` takes it off once.
"""

import math
from collections.abc import Callable

import numpy as np

from tending.metrics.similarity import Influence, Matrix, Null
from tending.metrics.similarity._moments import Moments
from tending.metrics.similarity._permutations import LEAST
from tending.metrics.similarity._permutations import null as of_permutations

ROUNDING = 1e-12  # of a squared norm; what is left of it by less is rounding

# products and diagonals of two kernels, and each kernel times the other's diagonal -> (n,)
Without = Callable[[Matrix, Matrix, Matrix, Matrix, Matrix], Matrix]


def biased(moments: Moments, with_null: bool = True) -> Influence:
    """Of <K, L> / (|K| |L|)."""
    x, y = moments.x, moments.y
    squares = float(x.squares.sum()), float(y.squares.sum())
    scale = math.sqrt(squares[0]) * math.sqrt(squares[1])
    score = float(moments.products.sum()) / scale
    excess = _excess(moments.n, score, squares, x.part, y.part)
    null = chance(moments, scale) if with_null else None
    deviations = _deviations(moments, biased_without)
    return Influence(score, deviations, _possible(excess, deviations, len(x.part)), null)


def debiased(moments: Moments, with_null: bool = True) -> Influence:
    """Of the same ratio of U-centred kernels."""
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
    """An excess from the pairs of some rows, at most half of the jackknife's variance.

    On average it is no more than that of all pairs, but one long row in the sample may say so.
    """
    if sampled == len(deviations):
        return excess
    return float(np.fmin(excess, deviations @ deviations / 2))


def chance(moments: Moments, scale: float) -> Null | None:
    """Of <K, L> / scale under permutation; None for too few rows."""
    n, k, other = moments.n, moments.x.diagonal, moments.y.diagonal
    if n < LEAST:
        return None
    mean = float(k.sum() * other.sum()) / (n - 1)
    return of_permutations(n, *moments.motifs, weight=n / (n - 2), mean=mean, scale=scale)


def jackknifed(without: Matrix) -> Matrix:
    """Deviations, (n,), from the scores without each row; their squares add up to the variance."""
    n = len(without)
    return np.asarray((without.mean() - without) * math.sqrt((n - 1) / n))


def biased_without(q: Matrix, k: Matrix, other: Matrix, _: Matrix, __: Matrix) -> Matrix:
    """<K, L>, centred anew, without each row."""
    a = len(q) / (len(q) - 1)
    return np.asarray(q.sum() - 2 * a * q + a * a * k * other)


def u_inner(inner: float, k: Matrix, other: Matrix) -> float:
    """Inner product of two U-centred kernels of which <K, L> and the diagonals, (n,), are known.

    Rows of K sum to 0, so those of K without its diagonal k sum to -k, and the unbiased estimator
    needs no more.
    """
    n = len(k)
    sums = float(k.sum()) * float(other.sum())
    return inner - float(k @ other) * n / (n - 2) + sums / ((n - 1) * (n - 2))


def u_without(q: Matrix, k: Matrix, other: Matrix, kl: Matrix, lk: Matrix) -> Matrix:
    """Inner product of the U-centred kernels without each row.

    Without their diagonals, the kernels' rows sum to -k and -l. A row takes its entries with it,
    from every row's sum, too.
    """
    n, both = len(q), k * other
    entries = q - both
    inner = entries.sum() - 2 * entries
    rows = both.sum() - both + (kl - both) + (lk - both) + entries
    total = (2 * k - k.sum()) * (2 * other - other.sum())
    return np.asarray(inner - 2 / (n - 3) * rows + total / ((n - 2) * (n - 3)))


def _sums(moments: Moments) -> list[tuple[Matrix, Matrix, Matrix, Matrix, Matrix]]:
    """Of the pairs (K, L), (K, K) and (L, L), what the functions above take."""
    x, y = moments.x, moments.y
    return [
        (moments.products, x.diagonal, y.diagonal, x.other, y.other),
        (x.squares, x.diagonal, x.diagonal, x.own, x.own),
        (y.squares, y.diagonal, y.diagonal, y.own, y.own),
    ]


def _deviations(moments: Moments, without: Without) -> Matrix:
    """Of the ratio; NaN where a kernel has no variation left without some row."""
    inner, *squares = (without(*sums) for sums in _sums(moments))
    whole = moments.x.squares.sum(), moments.y.squares.sum()
    left = [np.where(s > ROUNDING * w, s, np.nan) for s, w in zip(squares, whole, strict=True)]
    return jackknifed(inner / np.sqrt(left[0]) / np.sqrt(left[1]))


def _excess(n: int, score: float, squares: tuple[float, float], x: Matrix, y: Matrix) -> float:
    """What the jackknife counts twice: the variance that single pairs of rows give the score.

    The score's derivative by pairs, of mean 0 over pairs; x and y, (m, m), are the kernels of all
    rows or of some that stand for all.
    """
    m, (b, c) = len(x), squares
    # x y - s / 2 (x^2 + y^2) = (1 - s) x y - s / 2 (x - y)^2, of which little cancels near s = 1
    x, y = x / math.sqrt(b), y / math.sqrt(c)
    apart = x - y
    apart *= apart
    apart *= score / 2
    x *= y
    x *= 1 - score
    x -= apart
    return pair_excess(x) * n * (n - 1) / (m * (m - 1))


def pair_excess(pairs: Matrix) -> float:
    """Twice the squares of a score's parts by pairs of rows, (n, n), about their mean."""
    n = len(pairs)
    np.fill_diagonal(pairs, 0)
    squares = float(np.vdot(pairs, pairs)) - float(pairs.sum()) ** 2 / (n * (n - 1))
    return 2 * squares
