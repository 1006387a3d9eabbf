"""The estimates of one metric for all layers, or heads, of a component."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimates:
    """Scores of every layer or head with their errors; NaN where a score is not defined.

    All (layers,) or (layers, heads) float64, but draws: one more axis, float32. The same draw of
    any layer and step is of the same resample of the sequences.
    """

    value: Matrix
    standard_error: Matrix
    low: Matrix
    high: Matrix
    null_mean: Matrix
    null_high: Matrix
    draws: npt.NDArray[np.float32]

    @classmethod
    def undefined(cls, shape: tuple[int, ...], draws: int) -> "Estimates":
        """Estimates of which nothing is known yet."""
        value, error, low, high, null_mean, null_high = (np.full(shape, np.nan) for _ in range(6))
        resampled = np.full((*shape, draws), np.nan, dtype=np.float32)
        return cls(value, error, low, high, null_mean, null_high, resampled)
