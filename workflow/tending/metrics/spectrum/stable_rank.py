"""Stable rank of a matrix from its singular values."""

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric, relative


def stable_rank(singular_values: Array) -> npt.NDArray[np.float64]:
    """||A||_F^2 / ||A||_2^2 = sum s^2 / max s^2 (Rudelson & Vershynin, 2007).

    singular_values: (..., k), in any order. Returns (...), in [1, rank]: 1 for a single non-zero
    value, k for k equal ones; additional zeros have no effect. NaN for a matrix of zeros.
    Raises ValueError if a value is negative or not finite.
    """
    return np.asarray((relative(singular_values) ** 2).sum(axis=-1))


METRIC = SpectrumMetric(
    compute=stable_rank, label="Stable rank", bounds=(1, None), scale_free=True, most_of_equal=True
)
