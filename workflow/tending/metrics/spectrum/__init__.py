"""Metrics of singular values, one file each; the file's name is the metric's name."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, int]

VALUE = ""  # among the numbers of a metric with details, the metric itself


@dataclass(frozen=True)
class SpectrumMetric:
    """A metric of singular values and what is known about it.

    compute: (..., k) singular values -> (...) values; every leading index is one matrix. With
    one_matrix it takes (singular values, shape of the matrix).
    label: as a reader calls it, with the unit of what has one.
    bounds: closed range of the values; None where it has no end.
    scale_free: multiplying the matrix by a positive number changes nothing.
    proportional: it multiplies the value by the same number.
    most_of_equal: no k singular values have a larger value than k equal ones.
    of_zeros: the value of a matrix of zeros; NaN where it is not defined.
    one_matrix: it holds for a matrix as it is stored, of which the shape is known; not for products
    of weights, nor for activations.
    details: singular values -> all numbers that one computation gives, by name, each like compute's
    value, which is among them as VALUE; None: there is nothing but the value.
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
        """The closed range of the values of k singular values; None where it has no end."""
        low, high = self.bounds
        return low, float(self.compute(np.ones(k))) if self.most_of_equal else high

    def numbers(self, singular_values: Array, shape: Shape | None = None) -> Mapping[str, Array]:
        """The value, as VALUE, and its details by name, each of the shape (...).

        shape: of the matrices; ValueError if the metric needs it and it is missing.
        """
        if self.details is not None:
            return self.details(singular_values)
        if not self.one_matrix:
            return {VALUE: self.compute(singular_values)}
        if shape is None:
            raise ValueError(f"{self.label} needs the shape of the matrix")
        return {VALUE: self.compute(singular_values, shape)}


def quantity(metric: str, detail: str) -> str:
    """What a table calls a number of a metric: `power_law_alpha`, `power_law_alpha_x_min`."""
    return f"{metric}_{detail}" if detail else metric


def lead(metrics: Sequence[str]) -> str:
    """The metric where only one is shown or followed: the proportional rank, or the first."""
    proportional = "proportional_effective_rank"
    return proportional if proportional in metrics else metrics[0]


def checked(singular_values: Array) -> npt.NDArray[np.float64]:
    """Singular values as float64 (..., k); ValueError if there are none or one is not >= 0."""
    s = np.asarray(singular_values, dtype=np.float64)
    if s.ndim == 0 or s.shape[-1] == 0:
        raise ValueError(f"expected at least one singular value, got shape {s.shape}")
    if not np.isfinite(s).all() or (s < 0).any():
        worst = s[~(np.isfinite(s) & (s >= 0))][0]
        raise ValueError(f"singular values must be finite and not negative, found {worst}")
    return s


def relative(singular_values: Array) -> npt.NDArray[np.float64]:
    """Singular values over the largest of their matrix, (..., k); NaN for a matrix of zeros.

    Powers of them neither overflow nor vanish, whatever the scale. Raises as `checked` does.
    """
    s = checked(singular_values)
    largest = s.max(axis=-1, keepdims=True)
    return np.asarray(np.divide(s, largest, out=np.full_like(s, np.nan), where=largest > 0))
