"""Geometry of representations with centred columns, shared by several similarity metrics."""

import math

import numpy as np

from tending.core.arrays import Matrix
from tending.metrics.similarity import Influence, Null, UndefinedSimilarityError

ROUNDING = 1e-10  # of the largest singular value; smaller singular values are rounding


def compact(x: Matrix) -> Matrix:
    """Reduce x, (n, d), to at most n columns with the same inner products of rows."""
    if x.shape[1] <= x.shape[0]:
        return x
    return np.asarray(np.linalg.qr(x.T, mode="r")).T


def directions(x: Matrix) -> tuple[Matrix, Matrix]:
    """Return an orthonormal basis of the columns of centred x, (n, rank), and singular values.

    The singular values are (rank,), largest first. The rank is at most n - 1.
    """
    u, s, _ = np.linalg.svd(compact(x), full_matrices=False)
    rank = min(int((s > ROUNDING * s[0]).sum()), x.shape[0] - 1)
    return u[:, :rank], s[:rank]


def require_room(x: Matrix, y: Matrix) -> None:
    """Raise UndefinedSimilarityError if directions (n, k_x) and (n, k_y) are too many for n.

    In the n - 1 dimensions of centred columns, at least k_x + k_y - (n - 1) of their canonical
    correlations are 1 for any two representations.
    """
    n, both = x.shape[0], x.shape[1] + y.shape[1]
    if both >= n:
        raise UndefinedSimilarityError(
            f"{x.shape[1]} and {y.shape[1]} directions of {n} sequences correlate perfectly, "
            f"whatever they are; compare more than {both} sequences"
        )


def squared_distances(x: Matrix) -> Matrix:
    """Compute squared Euclidean distances between rows of centred x, (n, n); diagonal 0."""
    gram = x @ x.T
    norms = np.diag(gram)
    squares: Matrix = np.maximum(norms[:, None] + norms[None, :] - 2 * gram, 0)
    np.fill_diagonal(squares, 0)
    return squares


def unit(x: Matrix) -> Matrix:
    """Divide x by its Frobenius norm."""
    return np.asarray(x / np.linalg.norm(x))


def angular(x: Matrix, y: Matrix) -> float:
    """Compute 1 - 2 angle / pi of two matrices as vectors: 1 if parallel, 0 if orthogonal.

    The arccos of their cosine would lose half of the digits near 1, so the angle comes from
    the difference and the sum of the unit vectors (Kahan).
    """
    x, y = unit(x), unit(y)
    angle = 2 * math.atan2(np.linalg.norm(x - y), np.linalg.norm(x + y))
    return 1 - 2 * angle / math.pi


def angular_influence(score: float, cosine: Influence) -> Influence:
    """Derive the influence on an angular score from that on its cosine, to first order.

    The quantile of the null is exact; its mean is the angle of the mean cosine.
    """
    sine = math.sin((1 - score) * math.pi / 2)
    slope = 2 / (math.pi * sine) if sine else 0.0  # a score of 1 stays 1 whichever row is removed
    null = cosine.null and Null(of_cosine(cosine.null.mean), of_cosine(cosine.null.high))
    return Influence(score, slope * cosine.values, slope**2 * cosine.excess, null)


def of_cosine(cosine: float) -> float:
    """Compute 1 - 2 arccos(cosine) / pi; for use where digits near 1 do not matter."""
    return 1 - 2 * math.acos(min(max(cosine, -1.0), 1.0)) / math.pi
