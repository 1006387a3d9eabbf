"""Linear CKA without the bias of few sequences."""

import math

from tending.metrics.similarity import (
    Influence,
    Matrix,
    Similarity,
    UndefinedSimilarityError,
    require_pairs,
)
from tending.metrics.similarity._jackknife import debiased, u_inner
from tending.metrics.similarity._moments import Moments, inner_products, linear
from tending.metrics.similarity._streams import Aligned, Representation

LEAST = 4
ROUNDING = 1e-12  # of the Gram matrix; what is below it after U-centring is no variation


def debiased_linear_cka(x: Representation, y: Representation) -> float:
    """Linear CKA from U-centred Gram matrices (Szekely & Rizzo, 2014; Song et al., 2007).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. At most 1; its mean is 0
    for independent representations, so it may be negative and is not clamped. Raises ValueError
    if the row counts differ, there are fewer than 4, or a representation is constant, not finite
    or has no variation left after U-centring.
    """
    return _ratio(Aligned(x, y, LEAST))


def influence(x: Representation, y: Representation) -> Influence:
    """Exact scores without each row. Raises as `debiased_linear_cka` does."""
    require_pairs(x.shape[0], y.shape[0], LEAST)
    return of_moments(linear(x, y))


def of_moments(moments: Moments) -> Influence:
    """The same from the moments of both linear kernels."""
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
    """Squared norm of the U-centred Gram matrix of a diagonal, (n,), and of squared norm `square`.

    0, up to rounding, if all sequences are equally far apart or all but one are alike: then
    UndefinedSimilarityError.
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
