"""Representational dissimilarities of sequences, and how two sets of them correlate."""

import numpy as np

from tending.metrics.similarity import Array, Matrix, UndefinedSimilarityError, centred, paired
from tending.metrics.similarity._geometry import squared_distances

LEAST = 3  # sequences; two have one dissimilarity, with which nothing correlates
ROUNDING = 1e-12  # of the largest dissimilarity; what differs by less is a tie


def dissimilarities(x: Array, y: Array) -> tuple[Matrix, Matrix]:
    """1 - Pearson correlation of every pair of rows, (pairs,), of both sides.

    x: (n, d_x); y: (n, d_y), not centred. Raises as `paired` does, and UndefinedSimilarityError if
    a sequence is the same in all columns or all pairs are equally dissimilar.
    """
    paired(x, y, least=LEAST)
    return _of_pairs(x), _of_pairs(y)


def pearson(a: Matrix, b: Matrix) -> float:
    """Pearson correlation of two vectors that are not constant."""
    a, b = a - a.mean(), b - b.mean()
    return float(a / np.linalg.norm(a) @ (b / np.linalg.norm(b)))


def _of_pairs(x: Array) -> Matrix:
    x = x.astype(np.float64)
    rows = x - x.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rounding = np.finfo(np.float64).eps * np.sqrt(x.shape[1]) * np.linalg.norm(x, axis=1)
    if (norms[:, 0] <= rounding).any():
        raise UndefinedSimilarityError("a sequence has the same activation in all columns")
    # |a - b|^2 = 2 (1 - correlation) of unit rows; centred, small ones keep their digits
    squares = squared_distances(centred(rows / norms))
    pairs = squares[np.triu_indices(len(squares), k=1)] / 2
    if np.ptp(pairs) <= ROUNDING * pairs.max():
        raise UndefinedSimilarityError("all pairs of sequences are equally dissimilar")
    return np.asarray(pairs)
