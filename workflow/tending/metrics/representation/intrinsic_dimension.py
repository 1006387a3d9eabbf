"""Intrinsic dimension of the set on which the sequences' representations lie."""

import math

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array, Matrix
from tending.metrics.representation import (
    GROUPS,
    LEAST_OF_GROUP,
    Measured,
    Representation,
    UndefinedRepresentationError,
    checked,
    groups,
    interval,
)

LEAST = 8  # distinct rows
DISCARDED = 0.1  # share of the largest ratios that is discarded, as by Facco et al.
# ASSUME: rows closer than this share of the longest row's norm are duplicates that differ by
# float32 rounding only, as where two sequences end with the same token
SAME = 1e-5


def intrinsic_dimension(x: Array, rows_per_sequence: int = 1) -> Measured:
    """TwoNN estimate of the dimension (Facco et al., 2017), with its interval.

    x: (rows, d). The ratio of a row's distances to its second and its nearest neighbour follows
    a Pareto law whose exponent is the dimension; it is fitted as in the paper, without the largest
    tenth of the ratios. Duplicate rows count once. In (0, inf): 2 for a plane, however it is
    embedded; well below the truth from a dimension of about 10 on, where points are always few.

    The standard error is the spread of the estimates in GROUPS disjoint groups of sequences over
    sqrt(GROUPS), as a group's estimate has GROUPS times the variance; the interval is NaN if a
    group has fewer than LEAST_OF_GROUP distinct rows. Raises ValueError as `checked` does, and
    UndefinedRepresentationError with fewer than LEAST distinct rows or where all neighbours are
    equally far.
    """
    x = checked(x, rows_per_sequence, LEAST)
    kept = _different(x)
    if len(kept) < LEAST:
        raise UndefinedRepresentationError(f"only {len(kept)} of {len(x)} rows differ")
    value = _two_nn(x[kept])
    if not value > 0 or not math.isfinite(value):
        raise UndefinedRepresentationError("all neighbours of a row are equally far")
    group = groups(len(x), rows_per_sequence)
    return interval(value, math.nan if group is None else _error(x[kept], group[kept]))


def _error(x: Matrix, group: npt.NDArray[np.intp]) -> float:
    """Estimate the standard error from the spread of the groups' estimates."""
    if np.bincount(group, minlength=GROUPS).min() < LEAST_OF_GROUP:
        return math.nan
    estimates = [_two_nn(x[group == g]) for g in range(GROUPS)]
    return float(np.std(estimates, ddof=1)) / math.sqrt(GROUPS)


def _two_nn(x: Matrix) -> float:
    from skdim.id import TwoNN  # imported late: numba and scikit-learn take seconds

    # centred, because a large common offset costs digits of distances; TwoNN needs two columns
    shifted = np.pad(x - x.mean(axis=0), ((0, 0), (0, max(0, 2 - x.shape[1]))))
    return float(TwoNN(discard_fraction=DISCARDED).fit(shifted).dimension_)


def _different(x: Matrix) -> npt.NDArray[np.intp]:
    """Return the indices of distinct rows, ascending."""
    from sklearn.neighbors import NearestNeighbors

    limit = SAME * float(np.linalg.norm(x, axis=1).max())
    shifted, kept = x - x.mean(axis=0), np.arange(len(x))
    while len(kept) > 1:
        search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(shifted[kept])
        distance, neighbour = (found[:, 0] for found in search.kneighbors())
        # of two mutual nearest neighbours drop the later; while duplicates exist, so does a pair
        again = (distance <= limit) & (neighbour < np.arange(len(kept)))
        if not again.any():
            break
        kept = kept[~again]
    return kept


METRIC = Representation(
    compute=intrinsic_dimension,
    label="Intrinsic dimension (TwoNN)",
    bounds=(0, None),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    least=LEAST,
)
