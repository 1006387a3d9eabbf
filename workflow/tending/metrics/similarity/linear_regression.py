"""How much of one representation a linear map of the other explains."""

import numpy as np

from tending.metrics.similarity import Array, Similarity, UndefinedSimilarityError, paired
from tending.metrics.similarity._geometry import directions, unit


def linear_regression(x: Array, y: Array) -> float:
    """R^2 of the least-squares fit of x from y with intercept (Kornblith et al., 2019).

    x: (sequences, d_x), fitted; y: (sequences, d_y), the reference it is fitted from; row i is the
    same sequence. ||Q' Xc||_F^2 / ||Xc||_F^2, Q an orthonormal basis of the columns of Yc: the
    variance of all columns together. In [0, 1]; in sample, so that unrelated representations give
    rank(Yc) / (n - 1). Raises ValueError if the row counts differ, there are fewer than 3, or a
    representation is constant or not finite, or if y has rank n - 1, which fits anything.
    """
    x, y = paired(x, y, least=3)
    basis, _ = directions(y)
    n, rank = basis.shape
    if rank >= n - 1:
        raise UndefinedSimilarityError(
            f"{n} sequences of rank {rank} predict anything perfectly; compare more sequences"
        )
    return float(np.linalg.norm(basis.T @ unit(x)) ** 2)


METRIC = Similarity(
    compare=linear_regression,
    label="Linear regression R\N{SUPERSCRIPT TWO}",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    symmetric=False,
    least=3,
)
