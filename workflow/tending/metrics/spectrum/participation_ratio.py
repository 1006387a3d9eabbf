"""Participation ratio of the squared singular values."""

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric, relative


def participation_ratio(singular_values: Array) -> npt.NDArray[np.float64]:
    """Participation ratio (sum s^2)^2 / sum s^4, the number of directions that hold the variance.

    Gao et al. (2017). singular_values: (..., k), in any order. Their squares are the eigenvalues of
    the Gram matrix; for activations with centred columns they are proportional to the variances of
    the principal components. Returns (...), in [1, rank]: 1 for a single non-zero value, k for k
    equal ones; additional zeros have no effect. NaN for a matrix of zeros.
    Raises ValueError if a value is negative or not finite.
    """
    squares = relative(singular_values) ** 2
    return np.asarray(squares.sum(axis=-1) ** 2 / (squares**2).sum(axis=-1))


METRIC = SpectrumMetric(
    compute=participation_ratio,
    label="Participation ratio",
    bounds=(1, None),
    scale_free=True,
    most_of_equal=True,
)
