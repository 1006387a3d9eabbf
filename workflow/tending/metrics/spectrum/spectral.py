"""Spectral norm of a matrix from its singular values."""

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric, checked


def spectral(singular_values: Array) -> npt.NDArray[np.float64]:
    """||A||_2, the largest singular value (Golub & Van Loan, 2013).

    singular_values: (..., k), in any order. Returns (...), in [0, inf), in the unit of the matrix;
    all other values, zeros included, have no effect. 0 for a matrix of zeros.
    Raises ValueError if a value is negative or not finite.
    """
    return np.asarray(checked(singular_values).max(axis=-1))


METRIC = SpectrumMetric(
    compute=spectral,
    label="Spectral norm",
    bounds=(0, None),
    scale_free=False,
    proportional=True,
    of_zeros=0.0,
)
