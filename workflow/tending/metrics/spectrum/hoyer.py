"""Hoyer's sparseness of the singular values."""

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric, relative


def hoyer(singular_values: Array) -> npt.NDArray[np.float64]:
    """Hoyer's sparseness (sqrt(k) - sum s / sqrt(sum s^2)) / (sqrt(k) - 1) (Hoyer, 2004).

    singular_values: (..., k), in any order; zeros count as values. Returns (...), in [0, 1]: 0 for
    equal values, 1 for one non-zero value among zeros. NaN for a matrix of zeros, and for k = 1,
    where both limits coincide.
    Raises ValueError if a value is negative or not finite.
    """
    s = relative(singular_values)
    if s.shape[-1] == 1:
        return np.full(s.shape[:-1], np.nan)
    root = np.sqrt(s.shape[-1])
    ratio = s.sum(axis=-1) / np.sqrt((s**2).sum(axis=-1))
    return np.asarray((root - ratio) / (root - 1))


METRIC = SpectrumMetric(compute=hoyer, label="Hoyer sparseness", bounds=(0, 1), scale_free=True)
