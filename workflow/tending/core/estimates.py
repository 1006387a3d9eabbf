"""Estimates of one metric for all layers or heads of a component."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Matrix


@dataclass(frozen=True)
class Estimates:
    """Scores of every layer or head with their errors; NaN where a score is not defined.

    All arrays are float64, (layers,) or (layers, heads), except draws, which are float32 with one
    more axis. Draw i is computed on the same resample of the sequences in every layer and step.
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
        """Return estimates that are all NaN, to be filled in."""
        value, error, low, high, null_mean, null_high = (np.full(shape, np.nan) for _ in range(6))
        resampled = np.full((*shape, draws), np.nan, dtype=np.float32)
        return cls(value, error, low, high, null_mean, null_high, resampled)
