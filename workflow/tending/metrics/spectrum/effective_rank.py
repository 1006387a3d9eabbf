"""Effective rank of a matrix from its singular values."""

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric
from tending.metrics.spectrum.entropy import entropy


def effective_rank(singular_values: Array) -> npt.NDArray[np.float64]:
    """Exponential of the Shannon entropy of the normalised spectrum (Roy & Vetterli, 2007).

    singular_values: (..., k), in any order. Returns (...), in [1, k].
    NaN for a matrix of zeros, whose spectrum cannot be normalised.
    Raises ValueError if a value is negative or not finite.
    """
    return np.asarray(np.exp(entropy(singular_values)))


METRIC = SpectrumMetric(
    compute=effective_rank,
    label="Effective rank",
    bounds=(1, None),
    scale_free=True,
    most_of_equal=True,
)
