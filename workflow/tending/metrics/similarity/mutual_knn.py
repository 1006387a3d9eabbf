"""Share of nearest neighbours that two representations agree on."""

from collections.abc import Callable

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Indices, Influence, Similarity, _neighbours
from tending.metrics.similarity._neighbours import LEAST, K, shared


def mutual_knn(x: Array, y: Array) -> float:
    """Mean share of common sequences among the 10 nearest by cosine (Huh et al., 2024).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. Neither centred nor
    clamped; their code clamps outliers, which depends on coordinates. In [0, 1]; 10 / (n - 1)
    for unrelated representations. Sequences that tie for the last places share them.
    Raises ValueError if the row counts differ, there are fewer than 12, or a representation is
    constant, not finite, has a sequence of zeros or sequences that all point the same way.
    """
    return float(_share(shared(x, y)).mean())


def influence(x: Array, y: Array) -> Influence:
    """Compute leave-one-out influence of rows. Raises as `mutual_knn` does."""
    return _neighbours.influence(x, y, _share)


def permuted(x: Array, y: Array) -> Callable[[Indices], float]:
    """Return a function that scores y with its rows reordered."""
    return _neighbours.permuted(x, y, _share)


def _share(common: Matrix) -> Matrix:
    return np.asarray(common / K)


METRIC = Similarity(
    compare=mutual_knn,
    label="Mutual k-NN (k = 10)",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling"}),
    least=LEAST,
    influence=influence,
    permuted=permuted,
)
