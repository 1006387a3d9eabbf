"""Linear CKA without the bias of few sequences."""

import math

from tending.metrics.similarity import (
    Array,
    Matrix,
    Similarity,
    UndefinedSimilarityError,
    gram_inner,
    paired,
)

ROUNDING = 1e-12  # of the Gram matrix; what is below it after U-centring is no variation


def debiased_linear_cka(x: Array, y: Array) -> float:
    """Linear CKA from U-centred Gram matrices (Szekely & Rizzo, 2014; Song et al., 2007).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. At most 1; its mean is 0
    for independent representations, so it may be negative and is not clamped. Raises ValueError
    if the row counts differ, there are fewer than 4, or a representation is constant, not finite
    or has no variation left after U-centring.
    """
    x, y = paired(x, y, least=4)
    return _u_inner(x, y) / _u_norm(x) / _u_norm(y)


def _u_norm(x: Matrix) -> float:
    """Norm of the U-centred Gram matrix of centred x, (n, d).

    0, up to rounding, if all sequences are equally far apart or all but one are alike.
    """
    square = _u_inner(x, x)
    if square <= ROUNDING * gram_inner(x, x):
        raise UndefinedSimilarityError("the representation has no variation left by U-centring")
    return math.sqrt(square)


def _u_inner(x: Matrix, y: Matrix) -> float:
    """Inner product of the U-centred Gram matrices of centred x and y, (n, d_x) and (n, d_y).

    With columns centred, the rows of the Gram matrix K sum to 0, so those of K without its
    diagonal k sum to -k, and the unbiased estimator needs only <K, L> and the diagonals.
    """
    n: int = x.shape[0]
    diagonal_k, diagonal_l = (x * x).sum(axis=1), (y * y).sum(axis=1)
    products = float(diagonal_k @ diagonal_l)
    sums = float(diagonal_k.sum()) * float(diagonal_l.sum())
    return gram_inner(x, y) - products * n / (n - 2) + sums / ((n - 1) * (n - 2))


METRIC = Similarity(
    compare=debiased_linear_cka,
    label="Debiased linear CKA",
    bounds=(None, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    least=4,
)
