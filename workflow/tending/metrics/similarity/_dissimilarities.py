"""Representational dissimilarities of sequences, and the correlation of two sets of them."""

import math

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Influence, Null, UndefinedSimilarityError, centred, paired
from tending.metrics.similarity._geometry import squared_distances
from tending.metrics.similarity._jackknife import jackknifed, pair_excess
from tending.metrics.similarity._permutations import LEAST as LEAST_NULL
from tending.metrics.similarity._permutations import motifs, null, split

LEAST = 3  # sequences; two have a single dissimilarity, so there is no correlation
ROUNDING = 1e-12  # of the largest dissimilarity; smaller differences are ties


def dissimilarities(x: Array, y: Array) -> tuple[Matrix, Matrix]:
    """Compute 1 - the Pearson correlation of every pair of rows, (pairs,), for both sides.

    x: (n, d_x); y: (n, d_y), not centred. Raises as `paired` does, and UndefinedSimilarityError if
    a sequence has the same value in all columns or all pairs are equally dissimilar.
    """
    paired(x, y, least=LEAST)
    return _of_pairs(x), _of_pairs(y)


def pearson(a: Matrix, b: Matrix) -> float:
    """Compute the Pearson correlation of two vectors that are not constant."""
    a, b = a - a.mean(), b - b.mean()
    return float(a / np.linalg.norm(a) @ (b / np.linalg.norm(b)))


def influence(a: Matrix, b: Matrix) -> Influence:
    """Compute the influence of rows on the Pearson correlation of a and b, (pairs,).

    Exact: each score leaves out all pairs of one row.
    """
    a, b = square(a / np.linalg.norm(a - a.mean())), square(b / np.linalg.norm(b - b.mean()))
    a, b = _about_mean(a), _about_mean(b)
    score = float(np.vdot(a, b)) / 2
    xy, xx, yy = (_without(*sides) for sides in ((a, b), (a, a), (b, b)))
    left = [np.where(s > ROUNDING, s, np.nan) for s in (xx, yy)]
    values = jackknifed(xy / np.sqrt(left[0] * left[1]))
    excess = pair_excess((a * b - score / 2 * (a * a + b * b)) / 2)
    return Influence(score, values, excess, chance(a, b))


def chance(a: Matrix, b: Matrix) -> Null | None:
    """Compute the null of the correlation when the rows of one side are permuted.

    a, b: (n, n), whose pairs have mean 0 and squares that sum to 1, counting each pair once.
    None for fewer rows than the third moment needs.
    """
    n = len(a)
    if n < LEAST_NULL:
        return None
    (part_a, rows_a), (part_b, rows_b) = split(a), split(b)
    sides = motifs(part_a, rows_a), motifs(part_b, rows_b)
    return null(n, sides[0], sides[1], weight=2 * (n - 2), mean=0, scale=2)


def square(pairs: Matrix) -> Matrix:
    """Arrange (pairs,) as a symmetric (n, n) matrix with a zero diagonal."""
    n = math.isqrt(2 * len(pairs)) + 1
    full = np.zeros((n, n))
    full[np.triu_indices(n, k=1)] = pairs
    return full + full.T


def _about_mean(a: Matrix) -> Matrix:
    n = len(a)
    a = a - a.sum() / (n * (n - 1))
    np.fill_diagonal(a, 0)
    return a


def _without(a: Matrix, b: Matrix) -> Matrix:
    """Sum of products about the means, over the pairs without each row, (n,)."""
    n = len(a)
    products = (a * b).sum() / 2 - (a * b).sum(axis=1)
    sums = a.sum(axis=1) * b.sum(axis=1)  # the sums over all pairs are 0
    return np.asarray(products - sums / ((n - 1) * (n - 2) / 2))


def _of_pairs(x: Array) -> Matrix:
    x = x.astype(np.float64)
    rows = x - x.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rounding = np.finfo(np.float64).eps * np.sqrt(x.shape[1]) * np.linalg.norm(x, axis=1)
    if (norms[:, 0] <= rounding).any():
        raise UndefinedSimilarityError("a sequence has the same activation in all columns")
    # |a - b|^2 = 2 (1 - correlation) for unit rows; centring keeps the digits of small ones
    squares = squared_distances(centred(rows / norms))
    pairs = squares[np.triu_indices(len(squares), k=1)] / 2
    if np.ptp(pairs) <= ROUNDING * pairs.max():
        raise UndefinedSimilarityError("all pairs of sequences are equally dissimilar")
    return np.asarray(pairs)
