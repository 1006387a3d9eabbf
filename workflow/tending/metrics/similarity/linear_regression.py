"""Share of one representation's variance explained by a linear map of the other."""

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Influence, Similarity, UndefinedSimilarityError, paired
from tending.metrics.similarity._geometry import directions, unit
from tending.metrics.similarity._jackknife import chance, jackknifed
from tending.metrics.similarity._moments import of_rows
from tending.metrics.similarity._streams import Aligned

LEVERED = 1e-10  # 1 - leverage; below this, a row is fitted by itself alone


def linear_regression(x: Array, y: Array) -> float:
    """R^2 of the least-squares fit of x from y with intercept (Kornblith et al., 2019).

    x: (sequences, d_x), fitted; y: (sequences, d_y), the reference it is fitted from; row i is the
    same sequence. ||Q' Xc||_F^2 / ||Xc||_F^2, with Q an orthonormal basis of the columns of Yc, so
    that the variance of all columns is pooled. In [0, 1]; computed in sample, so that unrelated
    representations give rank(Yc) / (n - 1). Raises ValueError if the row counts differ, there are
    fewer than 3, or a representation is constant or not finite, or if y has rank n - 1, which fits
    anything.
    """
    x, basis = _with_basis(x, y)
    return float(np.linalg.norm(basis.T @ x) ** 2)


def influence(x: Array, y: Array) -> Influence:
    """Compute exact leave-one-out influence from leverages. Raises as `linear_regression` does.

    The null is that of the unnormalised inner product of two kernels, of x and of the projection
    onto y.
    """
    x, basis = _with_basis(x, y)
    fitted = basis @ (basis.T @ x)
    moments = of_rows(Aligned(x, basis, least=3))
    rank = basis.shape[1]
    scale = float(moments.x.diagonal.sum() * moments.y.diagonal.sum()) / rank
    score = float((fitted * fitted).sum())
    return Influence(score, jackknifed(_without(x, basis, fitted)), null=chance(moments, scale))


def _without(x: Matrix, basis: Matrix, fitted: Matrix) -> Matrix:
    """Compute R^2 without each row, (n,); all NaN where the remaining rows fit anything."""
    n, rank = basis.shape
    if rank >= n - 2:
        return np.full(n, np.nan)
    residuals = ((x - fitted) ** 2).sum(axis=1)
    room = 1 - 1 / n - (basis * basis).sum(axis=1)
    taken = np.where(room > LEVERED, residuals / np.maximum(room, LEVERED), 0)
    total = (x * x).sum(axis=1)
    return np.asarray(1 - (residuals.sum() - taken) / (total.sum() - total * n / (n - 1)))


def _with_basis(x: Array, y: Array) -> tuple[Matrix, Matrix]:
    """Return centred x of norm 1, and an orthonormal basis of the columns of centred y."""
    x, y = paired(x, y, least=3)
    basis, _ = directions(y)
    n, rank = basis.shape
    if rank >= n - 1:
        raise UndefinedSimilarityError(
            f"{n} sequences of rank {rank} predict anything perfectly; compare more sequences"
        )
    return unit(x), basis


METRIC = Similarity(
    compare=linear_regression,
    label="Linear regression R\N{SUPERSCRIPT TWO}",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    symmetric=False,
    least=3,
    influence=influence,
)
