"""Canonical correlations weighted by the share of a representation they account for."""

from collections.abc import Callable

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Indices, Similarity, paired
from tending.metrics.similarity._geometry import directions, require_room


def pwcca(x: Array, y: Array) -> float:
    """Projection-weighted mean canonical correlation (Morcos et al., 2018).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. The weight of canonical
    variate h_i is sum_j |<h_i, column j>| over the centred columns of the side of lower rank, x if
    ranks are equal. In [0, 1]. The absolute values make it depend on coordinates. Where
    correlations below 1 tie, the variates are not unique, and neither is the value. Raises
    ValueError if the row counts differ, there are fewer than 3, or a representation is constant or
    not finite, or if the ranks sum to n or more: correlations are then 1, and tie, for any pair.
    """
    return permuted(x, y)(np.arange(len(x)))


def permuted(x: Array, y: Array) -> Callable[[Indices], float]:
    """Return a function that scores y with its rows reordered. Raises as `pwcca` does."""
    x, y = paired(x, y, least=3)
    (u, _), (v, _) = directions(x), directions(y)
    require_room(u, v)
    if v.shape[1] < u.shape[1]:
        return lambda order: _weighted(y[order], v[order], u)
    return lambda order: _weighted(x, u, v[order])


def _weighted(x: Matrix, u: Matrix, v: Matrix) -> float:
    """Average the canonical correlations of directions u and v, weighted by the columns of x."""
    left, correlations, _ = np.linalg.svd(u.T @ v, full_matrices=False)
    weights = np.abs((u @ left).T @ x).sum(axis=1)
    return float(weights @ correlations / weights.sum())


METRIC = Similarity(
    compare=pwcca,
    label="PWCCA",
    bounds=(0, 1),
    invariant_to=frozenset({"scaling", "translation"}),
    symmetric=False,
    least=3,
    permuted=permuted,
)
