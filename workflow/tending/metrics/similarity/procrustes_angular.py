"""The angle between two representations after the best rotation, as a similarity."""

from collections.abc import Callable

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Indices, Influence, Similarity, paired, procrustes
from tending.metrics.similarity._geometry import (
    angular,
    angular_influence,
    compact,
    of_cosine,
    unit,
)


def angular_procrustes(x: Array, y: Array) -> float:
    """1 - 2 arccos(`procrustes`) / pi, which is 1 minus the metric of Williams et al. (2021).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. In [0, 1]; the angle
    obeys the triangle inequality. Raises ValueError if the row counts differ, there are fewer
    than 2, or a representation is constant or not finite.
    """
    x, y = paired(x, y, least=2)
    x, y = _equally_wide(compact(unit(x)), compact(unit(y)))
    u, _, v = np.linalg.svd(y.T @ x)
    return angular(x, y @ (u @ v))


def influence(x: Array, y: Array) -> Influence:
    """Derive the influence of rows from that on `procrustes`. Raises as `angular_procrustes` does.

    To first order.
    """
    return angular_influence(angular_procrustes(x, y), procrustes.influence(x, y))


def permuted(x: Array, y: Array) -> Callable[[Indices], float]:
    """Return a function that scores y with its rows reordered."""
    score = procrustes.permuted(x, y)
    return lambda order: of_cosine(score(order))


def _equally_wide(x: Matrix, y: Matrix) -> tuple[Matrix, Matrix]:
    """Pad the narrower side with columns of zeros."""
    missing = x.shape[1] - y.shape[1]
    return np.pad(x, ((0, 0), (0, max(-missing, 0)))), np.pad(y, ((0, 0), (0, max(missing, 0))))


METRIC = Similarity(
    compare=angular_procrustes,
    label="Angular Procrustes",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    influence=influence,
    tall=2,
    permuted=permuted,
)
