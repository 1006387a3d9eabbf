"""Nuclear norm of a matrix from its singular values."""

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric, checked


def nuclear(singular_values: Array) -> npt.NDArray[np.float64]:
    """||A||_*, the sum of the singular values (Fazel, Hindi & Boyd, 2001).

    singular_values: (..., k), in any order. Returns (...), in [0, inf), in the unit of the matrix:
    s for a single value, k s for k equal ones; zeros have no effect. 0 for a matrix of zeros.
    Raises ValueError if a value is negative or not finite.
    """
    return np.asarray(checked(singular_values).sum(axis=-1))


METRIC = SpectrumMetric(
    compute=nuclear,
    label="Nuclear norm",
    bounds=(0, None),
    scale_free=False,
    proportional=True,
    of_zeros=0.0,
)
