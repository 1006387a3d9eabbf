"""Effective rank of a matrix from its singular values."""

import numpy as np
import numpy.typing as npt

from tending.metrics.spectrum import Array, SpectrumMetric, checked


def effective_rank(singular_values: Array) -> npt.NDArray[np.float64]:
    """Exponential of the Shannon entropy of the normalised spectrum (Roy & Vetterli, 2007).

    singular_values: (..., k), in any order. Returns (...), in [1, k].
    NaN for a matrix of zeros, whose spectrum has no distribution.
    Raises ValueError if a value is negative or not finite.
    """
    s = checked(singular_values)
    total = s.sum(axis=-1, keepdims=True)
    p = np.divide(s, total, out=np.full_like(s, np.nan), where=total > 0)
    log_p = np.log(p, out=np.zeros_like(p), where=p != 0)  # 0 ln 0 = 0 by continuity
    return np.asarray(np.exp(-(p * log_p).sum(axis=-1)))


METRIC = SpectrumMetric(
    compute=effective_rank, label="Effective rank", bounds=(1, None), scale_free=True
)
