"""Alignment of the directions of different sequences' representations."""

import math

import numpy as np

from tending.core.arrays import Array
from tending.metrics.representation import (
    NORMAL_95,
    Measured,
    Representation,
    UndefinedRepresentationError,
    checked,
    interval,
)

LEAST = 3  # sequences, so that leaving one out leaves a pair


def anisotropy(x: Array, rows_per_sequence: int = 1) -> Measured:
    """Mean cosine between rows of different sequences (Ethayarajh, 2019), with its interval.

    x: (rows, d), ordered by sequence; not centred. In [-1, 1]: 0 on average for directions that
    are uniform on the sphere, 1 where all rows point the same way. The interval is +- 1.96
    standard errors of the jackknife over sequences; near isotropy it is too wide, because the
    jackknife variance is then twice the true one. Computed from sums of unit rows, without forming
    the cosine of any pair.
    Raises ValueError as `checked` does, and UndefinedRepresentationError if a row is 0.
    """
    x = checked(x, rows_per_sequence, LEAST)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if (norms == 0).any():
        raise UndefinedRepresentationError("a row is 0 throughout and has no direction")
    units = (x / norms).reshape(-1, rows_per_sequence, x.shape[1])
    sums = units.sum(axis=1)  # (sequences, d)
    n, total = len(sums), sums.sum(axis=0)
    within = (sums**2).sum(axis=1)
    across = float(total @ total) - within.sum()  # over ordered pairs of different sequences
    without_one = across - 2 * (sums @ total - within)
    pairs = rows_per_sequence**2 * n * (n - 1)
    scores = without_one / (rows_per_sequence**2 * (n - 1) * (n - 2))
    error = math.sqrt((n - 1) / n * float(((scores - scores.mean()) ** 2).sum()))
    return interval(float(across / pairs), error, NORMAL_95)


METRIC = Representation(
    compute=anisotropy,
    label="Anisotropy (mean cosine)",
    bounds=(-1, 1),
    invariant_to=frozenset({"rotation", "scaling"}),
    least=LEAST,
)
