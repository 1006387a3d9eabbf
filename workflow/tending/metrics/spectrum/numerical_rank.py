"""Number of singular values that rounding cannot explain."""

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric, relative

# ASSUME: the matrix was stored in float32, as weights and activations are here. That rounding, not
# that of the float64 arithmetic, sets the smallest values of a matrix of low rank. Spectra from
# Gram matrices resolve sqrt(k eps) of float64, which is smaller still.
EPS = 2.0**-23


def numerical_rank(singular_values: Array) -> npt.NDArray[np.float64]:
    """Number of values above k eps times the largest, eps = 2^-23 (Golub & Van Loan, 2013).

    singular_values: (..., k), in any order, zeros included. Returns (...), whole numbers as
    float64, in [1, k]: 1 for a single non-zero value, k for k equal ones (below 2^23 of them).
    0 for a matrix of zeros. eps is that of float32.
    The usual factor is max(m, n), but the singular values alone give only k = min(m, n): the same
    tolerance for a square matrix, a lower one for others.
    Raises ValueError if a value is negative or not finite.
    """
    shares = relative(singular_values)
    return np.asarray((shares > shares.shape[-1] * EPS).sum(axis=-1), dtype=np.float64)


METRIC = SpectrumMetric(
    compute=numerical_rank,
    label="Numerical rank",
    bounds=(0, None),
    scale_free=True,
    most_of_equal=True,
    of_zeros=0.0,
)
