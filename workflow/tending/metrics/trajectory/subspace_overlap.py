"""How far the leading directions of activations at one checkpoint are those at another."""

import numpy as np

from tending.metrics.similarity import Matrix
from tending.metrics.similarity._geometry import directions
from tending.metrics.trajectory import Stack, TrajectoryMetric
from tending.metrics.trajectory._inner import Measured, gram_products

OVER = "steps"
TABLED = True


def subspace_overlap(stack: Stack) -> Measured:
    """`overlap` ||U_s' U_t||_F^2 / k of one layer at all pairs of m steps, (m, m), and `chance`.

    U_t (n, k) are the left singular vectors of the k largest singular values of the centred
    activations, so that the overlap is the mean squared cosine of the principal angles between
    the two subspaces of the space of sequences (Bjorck & Golub 1973). In [0, 1]. k is
    `directions`, at most d and n - 1. NaN for a step whose activations have fewer directions
    than k. `chance`, (), is k / (n - 1): the mean over subspaces in random position.
    """
    leading = [_leading(stack.unit(i), stack.directions) for i in range(stack.count)]
    n, width = stack.unit(0).shape
    k = chosen(stack.directions, n, width)
    defined = np.array([1.0 if u.shape[1] == k else np.nan for u in leading])
    inner, _ = gram_products(leading.__getitem__, stack.count)
    return {"overlap": inner / k * np.outer(defined, defined), "chance": np.array(k / (n - 1))}


def chosen(asked: int, n: int, width: int) -> int:
    """Directions of a subspace of activations (n, width), at most as many as they can have."""
    return min(asked, n - 1, width)


def _leading(x: Matrix, asked: int) -> Matrix:
    """Leading left singular vectors, (n, k) or, of lower rank, as many as there are."""
    if not x.any():
        return x[:, :0]
    return directions(x)[0][:, : chosen(asked, *x.shape)]


def rows(measured: Measured, progress: Matrix, reference: int) -> Measured:
    """Overlap with the step before (NaN at the first) and with the reference step; chance."""
    overlap, chance = measured["overlap"], measured["chance"]
    before = np.diagonal(overlap, offset=1, axis1=1, axis2=2)
    none = np.full((overlap.shape[0], 1), np.nan)
    return {
        "subspace_overlap_step_to_step": np.hstack([none, before]),
        "subspace_overlap_with_reference": overlap[:, :, reference],
        "subspace_overlap_chance": np.broadcast_to(chance[:, None], overlap.shape[:2]),
    }


METRIC = TrajectoryMetric(
    compute=subspace_overlap,
    label="Overlap of leading subspaces",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    source="Hotelling 1936; Bjorck & Golub 1973",
    rows=rows,
)
