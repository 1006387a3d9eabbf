"""Nearest neighbours of every sequence, with ties shared equally."""

from collections.abc import Callable

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Indices, Influence, UndefinedSimilarityError, centred, paired
from tending.metrics.similarity._geometry import squared_distances
from tending.metrics.similarity._jackknife import jackknifed

K = 10  # neighbours of every sequence
LEAST = K + 2  # with one fewer, every sequence is a neighbour of every other
ROUNDING = 1e-10  # of the largest squared distance of unit rows; smaller differences are ties


PerSequence = Callable[[Matrix], Matrix]


def shared(x: Array, y: Array) -> Matrix:
    """Count the neighbours, out of K, that each sequence has on both sides, (n,), in [0, K].

    x: (n, d_x); y: (n, d_y). Raises as `paired` and `neighbours` do.
    """
    paired(x, y, least=LEAST)
    return np.asarray(np.minimum(neighbours(x)[0], neighbours(y)[0]).sum(axis=1))


def influence(x: Array, y: Array, per_sequence: PerSequence) -> Influence:
    """Compute scores without each sequence: its former neighbours take their next-nearest one.

    per_sequence: maps numbers of common neighbours to contributions, whose mean is the score. Exact
    unless sequences tie for the last places, which are then weighted by their shares. Raises as
    `shared` does.
    """
    paired(x, y, least=LEAST)
    (near_x, next_x), (near_y, next_y) = neighbours(x), neighbours(y)
    n, everybody = len(x), np.arange(len(x))
    both = np.minimum(near_x, near_y)
    common = both.sum(axis=1)
    now = per_sequence(common)
    if n <= LEAST:
        return Influence(float(now.mean()), np.full(n, np.nan))
    from_x, from_y = near_y[everybody, next_x], near_x[everybody, next_y]
    lost = per_sequence(common - 1 + from_x + from_y + (next_x == next_y)) - now
    change = lost @ both
    change += (per_sequence(common + from_x) - now) @ (near_x - both)
    change += (per_sequence(common + from_y) - now) @ (near_y - both)
    return Influence(float(now.mean()), jackknifed((now.sum() - now + change) / (n - 1)))


def permuted(x: Array, y: Array, per_sequence: PerSequence) -> Callable[[Indices], float]:
    """Return a function that scores y with its rows reordered. Raises as `shared` does."""
    paired(x, y, least=LEAST)
    near_x, near_y = neighbours(x)[0], neighbours(y)[0]
    rows, columns = np.nonzero(near_x)
    shares = near_x[rows, columns]

    def score(order: Indices) -> float:
        common = np.minimum(shares, near_y[order[rows], order[columns]])
        return float(per_sequence(np.bincount(rows, common).astype(np.float64)).mean())

    return score


def neighbours(x: Array) -> tuple[Matrix, Indices]:
    """Find the K sequences of largest cosine with each one, and the next-nearest.

    x: (n, d), not centred. Returns the membership of j among the neighbours of i, (n, n), and the
    index of the next one, (n,). Membership is 1 or 0, except that sequences tied for the last
    places share them equally, as ordering them would depend on the order of the rows. Rows sum to
    K. Raises UndefinedSimilarityError if a sequence is zero, which has no cosine, or all point the
    same way.
    """
    x = x.astype(np.float64)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if not norms.all():
        raise UndefinedSimilarityError("a sequence is zero and has no cosine with others")
    # 1 - cosine is half of this; centring keeps the digits of small angles around a large mean
    squares = squared_distances(centred(x / norms))
    tie = ROUNDING * squares.max()
    np.fill_diagonal(squares, np.inf)
    nearest = np.argpartition(squares, (K - 1, K), axis=1)
    last = np.take_along_axis(squares, nearest[:, K - 1 : K], axis=1)
    tied = np.abs(squares - last) <= tie
    nearer = (squares < last) & ~tied
    places = K - nearer.sum(axis=1, keepdims=True)
    return nearer + tied * (places / tied.sum(axis=1, keepdims=True)), nearest[:, K]
