"""Linear CKA without the bias due to few sequences."""

import math

from tending.core.arrays import Matrix
from tending.metrics.similarity import (
    Influence,
    Similarity,
    UndefinedSimilarityError,
    require_pairs,
)
from tending.metrics.similarity._jackknife import debiased, u_inner
from tending.metrics.similarity._moments import Moments, inner_products, linear
from tending.metrics.similarity._streams import Aligned, Representation

LEAST = 4
ROUNDING = 1e-12  # of the Gram matrix's squared norm; less than this after U-centring is rounding


def debiased_linear_cka(x: Representation, y: Representation) -> float:
    """Linear CKA from U-centred Gram matrices (Szekely & Rizzo, 2014; Song et al., 2007).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. At most 1; its mean is 0
    for independent representations, so it may be negative and is not clamped. Raises ValueError
    if the row counts differ, there are fewer than 4, or a representation is constant, not finite
    or has no variation left after U-centring.
    """
    return _ratio(Aligned(x, y, LEAST))


def influence(x: Representation, y: Representation) -> Influence:
    """Compute exact leave-one-out influence of rows. Raises as `debiased_linear_cka` does."""
    require_pairs(x.shape[0], y.shape[0], LEAST)
    return of_moments(linear(x, y))


def of_moments(moments: Moments) -> Influence:
    """Compute the influence of rows from the moments of both linear kernels."""
    require_pairs(moments.n, moments.n, LEAST)
    _require_variation(moments.x.diagonal, float(moments.x.squares.sum()))
    _require_variation(moments.y.diagonal, float(moments.y.squares.sum()))
    return debiased(moments)


def _ratio(rows: Aligned) -> float:
    inner = inner_products(rows)
    norm_x = math.sqrt(_require_variation(inner.x, inner.xx))
    norm_y = math.sqrt(_require_variation(inner.y, inner.yy))
    return u_inner(inner.xy, inner.x, inner.y) / norm_x / norm_y


def _require_variation(diagonal: Matrix, square: float) -> float:
    """Return the squared norm of a Gram matrix after U-centring.

    diagonal: (n,), of the Gram matrix; square: its squared norm. Raises UndefinedSimilarityError
    if the result is 0 up to rounding, as when all sequences are equidistant or all but one equal.
    """
    left = u_inner(square, diagonal, diagonal)
    if left <= ROUNDING * square:
        raise UndefinedSimilarityError("the representation has no variation left by U-centring")
    return left


METRIC = Similarity(
    compare=debiased_linear_cka,
    label="Debiased linear CKA",
    bounds=(None, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    least=LEAST,
    influence=influence,
    streams=True,
    prepare=linear,
    of_prepared=of_moments,
)
