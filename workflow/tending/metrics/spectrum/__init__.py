"""Metrics of singular values, one file each; the file's name is the metric's name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class SpectrumMetric:
    """A metric of singular values and what is known about it.

    compute: (..., k) singular values -> (...) values; every leading index is one matrix.
    bounds: closed range of the values; None where it has no end.
    scale_free: multiplying the matrix by a positive number changes nothing.
    """

    compute: Callable[[Array], Array]
    label: str
    bounds: tuple[float | None, float | None]
    scale_free: bool


def checked(singular_values: Array) -> npt.NDArray[np.float64]:
    """Singular values as float64 (..., k); ValueError if there are none or one is not >= 0."""
    s = np.asarray(singular_values, dtype=np.float64)
    if s.ndim == 0 or s.shape[-1] == 0:
        raise ValueError(f"expected at least one singular value, got shape {s.shape}")
    if not np.isfinite(s).all() or (s < 0).any():
        worst = s[~(np.isfinite(s) & (s >= 0))][0]
        raise ValueError(f"singular values must be finite and not negative, found {worst}")
    return s
