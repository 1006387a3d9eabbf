"""Similarity of two representations after the best rotation of one onto the other."""

from collections.abc import Callable

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Indices, Influence, Similarity, paired
from tending.metrics.similarity._geometry import ROUNDING, compact, unit


def procrustes(x: Array, y: Array) -> float:
    """||Yc' Xc||_* / (||Xc||_F ||Yc||_F), the best cosine of x and a rotated y (Schonemann, 1966).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence; the narrower side is
    padded with zeros. In [0, 1]; above 0 for unrelated representations, near 1 with fewer sequences
    than d. 1 minus half the squared normalised Procrustes distance (Ding et al., 2021).
    Raises ValueError if the row counts differ, there are fewer than 2, or a representation is
    constant or not finite.
    """
    x, y = _compact(x, y)
    return _nuclear(y.T @ x)


def influence(x: Array, y: Array) -> Influence:
    """Compute the score's derivative by the weight of each row. Raises as `procrustes` does.

    Far too small for n below 2 d, where each row changes the best rotation. The derivative of the
    nuclear norm of y' x = U S V' is U V' (Watson, 1992), here evaluated between rows of y and x.
    """
    x, y = _compact(x, y)
    u, s, v = np.linalg.svd(y.T @ x, full_matrices=False)
    s = s[s > ROUNDING * s[0]]
    turned: Matrix = ((y @ u[:, : s.size]) * (x @ v[: s.size].T)).sum(axis=1)
    score = float(s.sum())
    return Influence(score, turned - score / 2 * ((x * x).sum(axis=1) + (y * y).sum(axis=1)))


def permuted(x: Array, y: Array) -> Callable[[Indices], float]:
    """Return a function that scores y with its rows reordered."""
    x, y = _compact(x, y)
    return lambda order: _nuclear(y[order].T @ x)


def _compact(x: Array, y: Array) -> tuple[Matrix, Matrix]:
    x, y = paired(x, y, least=2)
    return compact(unit(x)), compact(unit(y))


def _nuclear(cross: Matrix) -> float:
    return float(np.linalg.svd(cross, compute_uv=False).sum())


METRIC = Similarity(
    compare=procrustes,
    label="Procrustes",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    influence=influence,
    tall=2,
    permuted=permuted,
)
