"""What several similarity metrics need to know of representations whose columns are centred."""

import math

import numpy as np

from tending.metrics.similarity import Influence, Matrix, Null, UndefinedSimilarityError

ROUNDING = 1e-10  # of the largest singular value; a direction with less is rounding


def compact(x: Matrix) -> Matrix:
    """x, (n, d), in at most n columns with the same inner products of rows."""
    if x.shape[1] <= x.shape[0]:
        return x
    return np.asarray(np.linalg.qr(x.T, mode="r")).T


def directions(x: Matrix) -> tuple[Matrix, Matrix]:
    """Orthonormal directions (n, rank) that the columns of centred x span, and their values.

    The values are the singular values, (rank,), largest first. The rank is at most n - 1.
    """
    u, s, _ = np.linalg.svd(compact(x), full_matrices=False)
    rank = min(int((s > ROUNDING * s[0]).sum()), x.shape[0] - 1)
    return u[:, :rank], s[:rank]


def require_room(x: Matrix, y: Matrix) -> None:
    """UndefinedSimilarityError if directions x and y, (n, k_x) and (n, k_y), must meet.

    In the n - 1 dimensions of centred columns, k_x + k_y - (n - 1) of their canonical
    correlations are 1 for any two representations.
    """
    n, both = x.shape[0], x.shape[1] + y.shape[1]
    if both >= n:
        raise UndefinedSimilarityError(
            f"{x.shape[1]} and {y.shape[1]} directions of {n} sequences correlate perfectly, "
            f"whatever they are; compare more than {both} sequences"
        )


def squared_distances(x: Matrix) -> Matrix:
    """Squared Euclidean distances of the rows of centred x, (n, n); the diagonal is 0."""
    gram = x @ x.T
    norms = np.diag(gram)
    squares: Matrix = np.maximum(norms[:, None] + norms[None, :] - 2 * gram, 0)
    np.fill_diagonal(squares, 0)
    return squares


def unit(x: Matrix) -> Matrix:
    """x divided by its Frobenius norm."""
    return np.asarray(x / np.linalg.norm(x))


def angular(x: Matrix, y: Matrix) -> float:
    """1 - 2 angle / pi of two matrices seen as vectors: 1 if they point alike, 0 at right angles.

    The arccos of their cosine would lose half of the digits near 1, so the angle comes from
    the difference and the sum of the unit vectors (Kahan).
    """
    x, y = unit(x), unit(y)
    angle = 2 * math.atan2(np.linalg.norm(x - y), np.linalg.norm(x + y))
    return 1 - 2 * angle / math.pi


def angular_influence(score: float, cosine: Influence) -> Influence:
    """Influence of the angle of `score` from that of its cosine, to first order.

    Of the null, the quantile is exact, and the mean is the angle of the mean cosine.
    """
    sine = math.sin((1 - score) * math.pi / 2)
    slope = 2 / (math.pi * sine) if sine else 0.0  # a score of 1 stays 1 without any row
    null = cosine.null and Null(of_cosine(cosine.null.mean), of_cosine(cosine.null.high))
    return Influence(score, slope * cosine.values, slope**2 * cosine.excess, null)


def of_cosine(cosine: float) -> float:
    """1 - 2 arccos(cosine) / pi, where digits near 1 do not matter."""
    return 1 - 2 * math.acos(min(max(cosine, -1.0), 1.0)) / math.pi
