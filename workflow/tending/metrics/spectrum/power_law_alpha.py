"""Exponent of a power law fitted to the eigenvalues of a matrix's Gram matrix."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array
from tending.metrics.spectrum import VALUE, SpectrumMetric, checked, relative
from tending.metrics.spectrum.numerical_rank import EPS

LEAST = 8  # fewest eigenvalues for a fit; with fewer, any exponent fits
NUMBERS = (VALUE, "x_min", "x_max", "ks_distance", "tail")
BLOCK = 32  # tails whose distances are computed at a time
SPARSE = 16  # a first pass evaluates every 16th value

Indices = npt.NDArray[np.int64]


def power_law(singular_values: Array) -> Mapping[str, npt.NDArray[np.float64]]:
    """Fit p(x) ~ x^-alpha, x >= x_min, to x = s^2 (Clauset, Shalizi & Newman, 2009).

    singular_values: (..., k), in any order; those within rounding of 0 (see `numerical_rank`) are
    left out. alpha maximises the likelihood of the eigenvalues from x_min on, and x_min is the
    eigenvalue that minimises the Kolmogorov-Smirnov distance between them and the fit.

    Returns, each (...): the exponent alpha, in (1, inf); x_min and x_max, the ends of the fitted
    range, in the squared unit of the matrix (x_max is the largest eigenvalue; the law itself is
    unbounded); ks_distance, in [0, 1]; tail, the number of eigenvalues in the range, LEAST or more.
    All are NaN with fewer than LEAST + 2 distinct eigenvalues, as for a constant spectrum.
    Raises ValueError if a value is negative or not finite.
    """
    shares = relative(singular_values)
    fits = np.array([_fit(row) for row in shares.reshape(-1, shares.shape[-1])])
    columns = fits.reshape(*shares.shape[:-1], len(NUMBERS))
    found = {name: np.asarray(columns[..., i]) for i, name in enumerate(NUMBERS)}
    with np.errstate(over="ignore"):
        unit = checked(singular_values).max(axis=-1) ** 2
        found |= {end: np.asarray(found[end] * unit) for end in ("x_min", "x_max")}
    return found


def power_law_alpha(singular_values: Array) -> npt.NDArray[np.float64]:
    """Return the exponent of `power_law`, (...)."""
    return power_law(singular_values)[VALUE]


def _fit(shares: Array) -> tuple[float, ...]:
    """Return NUMBERS for one spectrum, already divided by its largest value."""
    x = np.sort(shares[shares > shares.size * EPS]) ** 2
    # ASSUME: eigenvalues that float32 cannot distinguish are equal
    if np.unique(x.astype(np.float32)).size < LEAST + 2:
        return (np.nan,) * len(NUMBERS)
    _, firsts = np.unique(x, return_index=True)  # the first of equal values
    logs = np.log(x)
    sums = np.cumsum(logs[::-1])[::-1]  # from each value on
    starts = firsts[firsts <= x.size - LEAST]
    excess = sums[starts] - (x.size - starts) * logs[starts]
    starts, excess = starts[excess > 0], excess[excess > 0]  # 0 for a tail of equal values
    alphas = 1 + (x.size - starts) / excess  # maximum likelihood (eq. 3.1)
    best, distance = _nearest(logs, firsts, starts, alphas)
    return alphas[best], x[starts[best]], x[-1], distance, x.size - starts[best]


def _nearest(logs: Array, firsts: Indices, starts: Indices, alphas: Array) -> tuple[int, float]:
    """Return the index of the tail closest to its own fit, and its distance.

    logs: logarithms of all values, ascending; firsts: index of the first of each distinct value;
    starts: first index of each tail, with exponents alphas. The distance over a subset of values
    is a lower bound, so tails whose bound exceeds the best distance so far are skipped.
    """
    least = _distances(logs, firsts[::SPARSE], starts, alphas)
    found = np.full(starts.size, np.inf)
    order = np.argsort(least, kind="stable")
    for i in range(0, order.size, BLOCK):
        tails = order[i : i + BLOCK]
        if least[tails[0]] > found.min():
            break
        found[tails] = _distances(logs, firsts, starts[tails], alphas[tails])
    best = int(found.argmin())
    return best, float(found[best])


def _distances(logs: Array, places: Indices, starts: Indices, alphas: Array) -> Array:
    """Return Kolmogorov-Smirnov distances of tails from their fits (eq. 3.9), (starts,).

    places: indices of the values at which they are evaluated.
    """
    above = logs[places] - logs[starts][:, None]
    fit = -np.expm1((1 - alphas)[:, None] * np.maximum(above, 0.0))
    below = (places - starts[:, None]) / (logs.size - starts)[:, None]  # empirical CDF
    return np.asarray(np.where(above < 0, 0.0, np.abs(fit - below)).max(axis=1))


METRIC = SpectrumMetric(
    compute=power_law_alpha,
    label="Power-law exponent",
    bounds=(1, None),
    scale_free=True,
    details=power_law,
)
