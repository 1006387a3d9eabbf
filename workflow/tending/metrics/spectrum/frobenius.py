"""Frobenius norm of a matrix from its singular values."""

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric, checked


def frobenius(singular_values: Array) -> npt.NDArray[np.float64]:
    """||A||_F, the root of the sum of squared singular values (Golub & Van Loan, 2013).

    singular_values: (..., k), in any order. Returns (...), in [0, inf), in the unit of the matrix:
    s for a single value, s sqrt(k) for k equal ones; zeros have no effect. 0 for a matrix of zeros.
    Raises ValueError if a value is negative or not finite.
    """
    s = checked(singular_values)
    largest = s.max(axis=-1, keepdims=True)
    # divided by the largest first, because squares may leave the range of float64
    shares = np.divide(s, largest, out=np.zeros_like(s), where=largest > 0)
    return np.asarray(largest[..., 0] * np.sqrt((shares**2).sum(axis=-1)))


METRIC = SpectrumMetric(
    compute=frobenius,
    label="Frobenius norm",
    bounds=(0, None),
    scale_free=False,
    proportional=True,
    of_zeros=0.0,
)
