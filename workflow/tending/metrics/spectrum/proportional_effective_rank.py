"""Effective rank as a share of the largest possible one."""

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric, checked
from tending.metrics.spectrum.effective_rank import effective_rank


def proportional_effective_rank(singular_values: Array) -> npt.NDArray[np.float64]:
    """Effective rank divided by the number of singular values (PER; arXiv 2410.11451).

    singular_values: (..., k), in any order, zeros included: k is the largest rank that the matrix
    can have by construction. Returns (...), in [1/k, 1]. NaN for a matrix of zeros.
    Raises ValueError if a value is negative or not finite.
    """
    s = checked(singular_values)
    return np.asarray(effective_rank(s) / s.shape[-1])


METRIC = SpectrumMetric(
    compute=proportional_effective_rank,
    label="Proportional effective rank",
    bounds=(0, 1),
    scale_free=True,
)
