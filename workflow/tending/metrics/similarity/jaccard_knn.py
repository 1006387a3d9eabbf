"""Jaccard index of the nearest neighbours in two representations."""

from collections.abc import Callable

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Indices, Influence, Similarity, _neighbours
from tending.metrics.similarity._neighbours import LEAST, K, shared


def jaccard_knn(x: Array, y: Array) -> float:
    """Mean Jaccard index of the sets of 10 nearest neighbours by cosine (Schumacher et al., 2021).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. Not centred. In [0, 1];
    about 10 / (2 n - 12) for unrelated representations, and never above `mutual_knn`. Sequences
    that tie for the last places share them. Raises ValueError if the row counts differ, there are
    fewer than 12, or a representation is constant, not finite, has a sequence of zeros or
    sequences that all point the same way.
    """
    return float(_share(shared(x, y)).mean())


def influence(x: Array, y: Array) -> Influence:
    """Compute leave-one-out influence of rows. Raises as `jaccard_knn` does."""
    return _neighbours.influence(x, y, _share)


def permuted(x: Array, y: Array) -> Callable[[Indices], float]:
    """Return a function that scores y with its rows reordered."""
    return _neighbours.permuted(x, y, _share)


def _share(common: Matrix) -> Matrix:
    return np.asarray(common / (2 * K - common))


METRIC = Similarity(
    compare=jaccard_knn,
    label="Jaccard k-NN (k = 10)",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling"}),
    least=LEAST,
    influence=influence,
    permuted=permuted,
)
