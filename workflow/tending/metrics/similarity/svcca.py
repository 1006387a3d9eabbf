"""Canonical correlations of the directions that carry 99 % of the variance."""

from collections.abc import Callable

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Indices, Similarity, paired
from tending.metrics.similarity._geometry import directions, require_room

KEPT = 0.99  # share of the variance, the sum of squared singular values
SLACK = 1e-12  # tolerance on the share, lest rounding add one component where values are equal


def svcca(x: Array, y: Array) -> float:
    """Mean canonical correlation of the leading principal components (Raghu et al., 2017).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. The mean is over the
    smaller number of components kept, k_x or k_y. In [0, 1]; far above 0 for unrelated
    representations unless n is well above k_x + k_y. Raises ValueError if the row counts differ,
    there are fewer than 3, or a representation is constant or not finite, or if k_x + k_y is n or
    more, as some correlations are then 1 for any pair.
    """
    return permuted(x, y)(np.arange(len(x)))


def permuted(x: Array, y: Array) -> Callable[[Indices], float]:
    """Return a function that scores y with its rows reordered. Raises as `svcca` does."""
    x, y = paired(x, y, least=3)
    u, v = _leading(x), _leading(y)
    require_room(u, v)
    return lambda order: float(np.linalg.svd(u.T @ v[order], compute_uv=False).mean())


def _leading(x: Matrix) -> Matrix:
    """Return directions, (n, k), of the fewest principal components with KEPT of the variance."""
    u, s = directions(x)
    share = np.cumsum(s**2) / np.sum(s**2)
    return u[:, : 1 + int(np.searchsorted(share, KEPT - SLACK))]


METRIC = Similarity(
    compare=svcca,
    label="SVCCA",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    least=3,
    permuted=permuted,
)
