"""How well one representation can be rotated onto the other."""

import numpy as np

from tending.metrics.similarity import Array, Similarity, paired
from tending.metrics.similarity._geometry import compact, unit


def procrustes(x: Array, y: Array) -> float:
    """||Yc' Xc||_* / (||Xc||_F ||Yc||_F), the best cosine of x and a rotated y (Schonemann, 1966).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence; the narrower side is
    filled up with zeros. In [0, 1]; above 0 for unrelated representations, near 1 when sequences
    are fewer than d. 1 minus half the squared normalised Procrustes distance (Ding et al., 2021).
    Raises ValueError if the row counts differ, there are fewer than 2, or a representation is
    constant or not finite.
    """
    x, y = paired(x, y, least=2)
    cross = compact(unit(y)).T @ compact(unit(x))
    return float(np.linalg.svd(cross, compute_uv=False).sum())


METRIC = Similarity(
    compare=procrustes,
    label="Procrustes",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
)
