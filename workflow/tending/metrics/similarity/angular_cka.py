"""The angle of linear CKA, as a similarity."""

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Influence, Similarity, cka, paired
from tending.metrics.similarity._geometry import angular, angular_influence, unit


def angular_cka(x: Array, y: Array) -> float:
    """1 - 2 arccos(linear CKA) / pi, which is 1 minus the metric of Williams et al. (2021).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. In [0, 1]; the angle
    obeys the triangle inequality, CKA does not. With few sequences it is as biased as `cka`.
    Raises ValueError if the row counts differ, there are fewer than 2, or a representation is
    constant or not finite.
    """
    x, y = paired(x, y, least=2)
    x, y = _fewer_rows(unit(x), unit(y))
    return angular(x @ x.T, y @ y.T)


def influence(x: Array, y: Array) -> Influence:
    """Derive the influence of rows from that on `cka`. Raises as `angular_cka` does."""
    return angular_influence(angular_cka(x, y), cka.influence(x, y))


def _fewer_rows(x: Matrix, y: Matrix) -> tuple[Matrix, Matrix]:
    """Reduce both sides to at most d_x + d_y rows with the same X' X, X' Y and Y' Y."""
    if x.shape[0] <= x.shape[1] + y.shape[1]:
        return x, y
    both = np.asarray(np.linalg.qr(np.hstack([x, y]), mode="r"))
    return both[:, : x.shape[1]], both[:, x.shape[1] :]


METRIC = Similarity(
    compare=angular_cka,
    label="Angular CKA",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    influence=influence,
)
