"""Metrics of singular values, one file each; the file's name is the metric's name."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array

Shape = tuple[int, int]

VALUE = ""  # key of the metric's own value among its details


@dataclass(frozen=True)
class SpectrumMetric:
    """A metric of singular values and its properties.

    compute: (..., k) singular values -> (...) values; every leading index is one matrix. With
    one_matrix it takes (singular values, shape of the matrix).
    label: name for the reader, with the unit where it has one.
    bounds: closed range of the values; None where unbounded.
    scale_free: multiplying the matrix by a positive number leaves the value unchanged.
    proportional: multiplying the matrix by a positive number multiplies the value by it.
    most_of_equal: k equal singular values have the largest value of any k.
    of_zeros: value of a matrix of zeros; NaN where undefined.
    one_matrix: defined only for a matrix as stored, whose shape is known; not for products of
    weights, nor for activations.
    details: singular values -> every number that one computation yields, by name, each shaped like
    the value of compute, which is included as VALUE; None: the value is all there is.
    """

    compute: Callable[..., Array]
    label: str
    bounds: tuple[float | None, float | None]
    scale_free: bool
    proportional: bool = False
    of_zeros: float = math.nan
    one_matrix: bool = False
    details: Callable[[Array], Mapping[str, Array]] | None = None
    most_of_equal: bool = False

    def range(self, k: int) -> tuple[float | None, float | None]:
        """Return the closed range of the metric for k singular values; None where unbounded."""
        low, high = self.bounds
        return low, float(self.compute(np.ones(k))) if self.most_of_equal else high

    def numbers(self, singular_values: Array, shape: Shape | None = None) -> Mapping[str, Array]:
        """Compute the value, as VALUE, and its details by name, each of shape (...).

        shape: shape of the matrices. Raises ValueError if the metric needs it and it is missing.
        """
        if self.details is not None:
            return self.details(singular_values)
        if not self.one_matrix:
            return {VALUE: self.compute(singular_values)}
        if shape is None:
            raise ValueError(f"{self.label} needs the shape of the matrix")
        return {VALUE: self.compute(singular_values, shape)}


def quantity(metric: str, detail: str) -> str:
    """Return a number's name in tables, such as `power_law_alpha` or `power_law_alpha_x_min`."""
    return f"{metric}_{detail}" if detail else metric


def lead(metrics: Sequence[str]) -> str:
    """Return the metric to use where only one is shown: proportional rank, else the first."""
    proportional = "proportional_effective_rank"
    return proportional if proportional in metrics else metrics[0]


def checked(singular_values: Array) -> npt.NDArray[np.float64]:
    """Return singular values as float64, (..., k).

    Raises ValueError if there are none, or if one is negative or not finite.
    """
    s = np.asarray(singular_values, dtype=np.float64)
    if s.ndim == 0 or s.shape[-1] == 0:
        raise ValueError(f"expected at least one singular value, got shape {s.shape}")
    if not np.isfinite(s).all() or (s < 0).any():
        worst = s[~(np.isfinite(s) & (s >= 0))][0]
        raise ValueError(f"singular values must be finite and not negative, found {worst}")
    return s


def relative(singular_values: Array) -> npt.NDArray[np.float64]:
    """Divide singular values by the largest of their matrix, (..., k); NaN for a matrix of zeros.

    Powers of the result neither overflow nor vanish, whatever the scale. Raises as `checked` does.
    """
    s = checked(singular_values)
    largest = s.max(axis=-1, keepdims=True)
    return np.asarray(np.divide(s, largest, out=np.full_like(s, np.nan), where=largest > 0))
