"""Nearest neighbours of every sequence, with ties shared out."""

import numpy as np

from tending.metrics.similarity import Array, Matrix, UndefinedSimilarityError, centred, paired
from tending.metrics.similarity._geometry import squared_distances

K = 10  # neighbours of every sequence
LEAST = K + 2  # with one fewer, everybody is everybody's neighbour
ROUNDING = 1e-10  # of the largest squared distance of unit rows; nearer than that is a tie


def shared(x: Array, y: Array) -> Matrix:
    """How many of its K neighbours each sequence has on both sides, (n,), in [0, K].

    x: (n, d_x); y: (n, d_y). Raises as `paired` and `neighbours` do.
    """
    paired(x, y, least=LEAST)
    return np.asarray(np.minimum(neighbours(x), neighbours(y)).sum(axis=1))


def neighbours(x: Array) -> Matrix:
    """Membership of j in the K sequences of largest cosine with i, (n, n); rows sum to K.

    x: (n, d), not centred. 1 or 0, but sequences that tie for the last places share them equally:
    an order among them would be that of the rows. Raises UndefinedSimilarityError if a sequence
    is zero, which has no cosine, or all point the same way.
    """
    x = x.astype(np.float64)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if not norms.all():
        raise UndefinedSimilarityError("a sequence is zero and has no cosine with others")
    # 1 - cosine is half of this; centred, small angles around a large mean keep their digits
    squares = squared_distances(centred(x / norms))
    tie = ROUNDING * squares.max()
    np.fill_diagonal(squares, np.inf)
    last = np.partition(squares, K - 1, axis=1)[:, K - 1 : K]
    tied = np.abs(squares - last) <= tie
    nearer = (squares < last) & ~tied
    places = K - nearer.sum(axis=1, keepdims=True)
    return np.asarray(nearer + tied * (places / tied.sum(axis=1, keepdims=True)))
