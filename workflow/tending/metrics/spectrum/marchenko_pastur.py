"""Share of a matrix's variance beyond that of a matrix with independent entries."""

from functools import cache

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import Shape, SpectrumMetric, relative

LEAST = 8  # fewest singular values that make up a bulk
POINTS = 20_000  # quadrature points for the density; the error is about 1e-8
# 99 % quantile of the Tracy-Widom law for real matrices (Johnstone, 2001, with more digits)
TRACY_WIDOM_99 = 2.0234


def marchenko_pastur(singular_values: Array, shape: Shape) -> npt.NDArray[np.float64]:
    """Share of sum s^2 that lies above the Marchenko-Pastur bulk (Marchenko & Pastur, 1967).

    singular_values: (..., k), in any order, zeros included; shape: (m, n) of the matrices, in
    either order, with min(m, n) = k. Returns (...), in [0, 1]: about 0 for independent entries of
    mean 0 and equal variance, otherwise the share of the directions that stand out from them.

    The variance of the entries is the squared median singular value over n times the median of the
    Marchenko-Pastur law (Gavish & Donoho, 2014), so a few outlying directions do not widen the
    bulk. Its upper edge is the value that the largest singular value of a matrix with independent
    entries stays below with 99 % probability (Johnstone, 2001). Values below the lower edge are
    not counted: they hold next to no variance, and a square matrix has no such edge.
    1 where most values are 0; NaN for a matrix of zeros, or with fewer than LEAST values.
    Raises ValueError if a value is negative or not finite, or if the shape does not match k.
    """
    shares = relative(singular_values)
    short, long = sorted(shape)
    if short != shares.shape[-1]:
        raise ValueError(
            f"{shares.shape[-1]} singular values, but a matrix of shape {shape} has {short}"
        )
    if short < LEAST:
        return np.full(shares.shape[:-1], np.nan)
    squares = shares**2
    variance = np.median(shares, axis=-1, keepdims=True) ** 2 / (long * law_median(short / long))
    outside = np.where(squares > variance * largest_square(short, long), squares, 0.0)
    return np.asarray(outside.sum(axis=-1) / squares.sum(axis=-1))


def largest_square(short: int, long: int) -> float:
    """Return the 99 % quantile of the largest s^2 of a short x long matrix of unit variance."""
    sides = np.sqrt(long - 1) + np.sqrt(short)
    scale = sides * (1 / np.sqrt(long - 1) + 1 / np.sqrt(short)) ** (1 / 3)
    return float(sides**2 + TRACY_WIDOM_99 * scale)


@cache
def law_median(ratio: float) -> float:
    """Median of the Marchenko-Pastur law of unit variance; ratio: short over long side, (0, 1]."""
    # substituting x = 1 + ratio - 2 sqrt(ratio) cos(angle) removes the roots from the density
    angle = (np.arange(POINTS) + 0.5) * np.pi / POINTS
    x = 1 + ratio - 2 * np.sqrt(ratio) * np.cos(angle)
    below = np.cumsum(np.sin(angle) ** 2 / x)
    return float(np.interp(0.5, (below - 0.5 * np.diff(below, prepend=0)) / below[-1], x))


METRIC = SpectrumMetric(
    compute=marchenko_pastur,
    label="Variance above the Marchenko-Pastur bulk",
    bounds=(0, 1),
    scale_free=True,
    one_matrix=True,
)
