"""Gini coefficient of the singular values."""

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric, relative


def gini(singular_values: Array) -> npt.NDArray[np.float64]:
    """Gini coefficient sum_ij |s_i - s_j| / (2 k sum s), a measure of inequality.

    Hurley & Rickard (2009). singular_values: (..., k), in any order; zeros count as values.
    Returns (...), in [0, 1 - 1/k]: 0 for equal values and for a single one, 1 - 1/k for one
    non-zero value among zeros.
    NaN for a matrix of zeros.
    Raises ValueError if a value is negative or not finite.
    """
    s = np.sort(relative(singular_values), axis=-1)
    k = s.shape[-1]
    # sorted, s_i is the larger of i pairs and the smaller of k - 1 - i, so no k x k array is needed
    pairs = 2.0 * np.arange(k) - (k - 1)
    return np.asarray((pairs * s).sum(axis=-1) / (k * s.sum(axis=-1)))


METRIC = SpectrumMetric(compute=gini, label="Gini coefficient", bounds=(0, 1), scale_free=True)
