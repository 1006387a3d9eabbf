"""Share of a matrix's variance above what independent entries would give."""

from functools import cache

import numpy as np
import numpy.typing as npt

from tending.metrics.spectrum import Array, Shape, SpectrumMetric, relative

LEAST = 8  # singular values that a bulk needs
POINTS = 20_000  # of the quadrature of the density, exact to about 1e-8
# 99 % quantile of the Tracy-Widom law of real matrices (Johnstone, 2001, with more digits)
TRACY_WIDOM_99 = 2.0234


def marchenko_pastur(singular_values: Array, shape: Shape) -> npt.NDArray[np.float64]:
    """Share of sum s^2 that lies above the Marchenko-Pastur bulk (Marchenko & Pastur, 1967).

    singular_values: (..., k), in any order, zeros included; shape: (m, n) of the matrices, either
    side first, with min(m, n) = k. Returns (...), in [0, 1]: about 0 for independent entries of
    mean 0 and equal variance, and the share of the directions that stand out of them otherwise.

    The variance of the entries is the squared median singular value over n times the median of the
    Marchenko-Pastur law (Gavish & Donoho, 2014): directions that stand out, as long as they are
    few, do not widen the bulk. Its upper edge is put where the largest value of such a matrix lies
    with a probability of 99 % (Johnstone, 2001). Values below the lower edge are not counted: they
    hold next to no variance, and a square matrix has no such edge.
    1 where most values are 0; NaN for a matrix of zeros, or with fewer than LEAST values.
    Raises ValueError if a value is negative or not finite, or the shape is another matrix's.
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
    """99 % quantile of the largest s^2 of a short x long matrix with entries of variance 1."""
    sides = np.sqrt(long - 1) + np.sqrt(short)
    scale = sides * (1 / np.sqrt(long - 1) + 1 / np.sqrt(short)) ** (1 / 3)
    return float(sides**2 + TRACY_WIDOM_99 * scale)


@cache
def law_median(ratio: float) -> float:
    """Median of the Marchenko-Pastur law of unit variance; ratio: short over long side, (0, 1]."""
    # x = 1 + ratio - 2 sqrt(ratio) cos(angle) takes the roots out of the density
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
