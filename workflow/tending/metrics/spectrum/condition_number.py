"""Condition number of a matrix from its singular values."""

import math

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric, checked


def condition_number(singular_values: Array) -> npt.NDArray[np.float64]:
    """Ratio of the largest to the smallest of all k singular values (Golub & Van Loan, 2013).

    singular_values: (..., k), in any order, zeros included. Returns (...), in [1, inf]: 1 for k
    equal values and for a single one, inf if a value is 0, as in a matrix of zeros.
    Above 1/eps of the precision the matrix was stored in (about 1e7 for float32) it reflects
    rounding and says only that the matrix may as well be singular.
    Raises ValueError if a value is negative or not finite.
    """
    s = checked(singular_values)
    largest, smallest = s.max(axis=-1), s.min(axis=-1)
    ratio = np.full(s.shape[:-1], np.inf)
    with np.errstate(over="ignore"):  # a ratio that overflows is inf too
        np.divide(largest, smallest, out=ratio, where=smallest > 0)
    return ratio


METRIC = SpectrumMetric(
    compute=condition_number,
    label="Condition number",
    bounds=(1, None),
    scale_free=True,
    of_zeros=math.inf,
)
