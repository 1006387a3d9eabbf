"""Entropy of the normalised singular values."""

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import SpectrumMetric, checked


def entropy(singular_values: Array) -> npt.NDArray[np.float64]:
    """Shannon entropy in nats of p_i = s_i / sum s, with 0 ln 0 = 0 (Roy & Vetterli, 2007).

    The logarithm of the effective rank. singular_values: (..., k), in any order. Returns (...), in
    [0, ln k]: 0 for a single non-zero value, ln k for k equal ones; additional zeros have no
    effect. NaN for a matrix of zeros, whose spectrum cannot be normalised.
    Raises ValueError if a value is negative or not finite.
    """
    s = checked(singular_values)
    total = s.sum(axis=-1, keepdims=True)
    p = np.divide(s, total, out=np.full_like(s, np.nan), where=total > 0)
    log_p = np.log(p, out=np.zeros_like(p), where=p != 0)  # 0 ln 0 = 0 by continuity
    return np.asarray(0.0 - (p * log_p).sum(axis=-1))  # 0.0 - x, because -x prints as -0.0


METRIC = SpectrumMetric(
    compute=entropy, label="Entropy (nats)", bounds=(0, None), scale_free=True, most_of_equal=True
)
