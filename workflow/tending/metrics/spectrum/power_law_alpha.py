"""Exponent of a power law fitted to the eigenvalues of a matrix's Gram matrix."""

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tending.metrics.spectrum import VALUE, Array, SpectrumMetric, checked, relative
from tending.metrics.spectrum.numerical_rank import EPS

LEAST = 8  # eigenvalues that a fit needs; fewer fit any exponent
NUMBERS = (VALUE, "x_min", "x_max", "ks_distance", "tail")


def power_law(singular_values: Array) -> Mapping[str, npt.NDArray[np.float64]]:
    """Fit of p(x) ~ x^-alpha, x >= x_min, to x = s^2 (Clauset, Shalizi & Newman, 2009).

    singular_values: (..., k), in any order; those that rounding explains (see `numerical_rank`) are
    left out. alpha maximises the likelihood of the eigenvalues from x_min on, and x_min is the
    eigenvalue that minimises the Kolmogorov-Smirnov distance between them and the fit.

    Returns, each (...): the exponent alpha, in (1, inf); x_min and x_max, the ends of the fitted
    range, in the squared unit of the matrix (x_max is the largest eigenvalue: the law itself has no
    upper end); ks_distance, in [0, 1]; tail, how many eigenvalues the range holds, LEAST or more.
    All are NaN with fewer than LEAST + 2 different eigenvalues, as of a constant spectrum.
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
    """The exponent of `power_law`, (...)."""
    return power_law(singular_values)[VALUE]


def _fit(shares: Array) -> tuple[float, ...]:
    """NUMBERS of one spectrum over its largest value."""
    x = np.sort(shares[shares > shares.size * EPS]) ** 2
    # ASSUME: eigenvalues that float32 cannot tell apart are the same
    if np.unique(x.astype(np.float32)).size < LEAST + 2:
        return (np.nan,) * len(NUMBERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library uses what it has deprecated itself
        fit = _closed_form()(
            x, xmin=(x[0], _end(x)), parameter_ranges={"alpha": (1, None)}, verbose=0
        )
    if fit.noise_flag:
        return (np.nan,) * len(NUMBERS)
    return fit.alpha, fit.xmin, x[-1], fit.D, fit.n


def _end(x: Array) -> float:
    """The end of the range to search for x_min in, so that LEAST of the ascending x stay above.

    The library searches below the end it is given and leaves out the last of the values there.
    """
    above = np.unique(x[x > x[-LEAST]])
    return float(above[1]) if above.size > 1 else np.inf


@cache
def _closed_form() -> Any:
    """The library's fit with the maximum-likelihood exponent in closed form, whatever it is.

    Outside 1.5 < alpha <= 3 the library minimises numerically, to 1e-4 and fifteen times slower.
    """
    import powerlaw  # not before: it takes matplotlib with it

    class ClosedForm(powerlaw.Power_Law):  # type: ignore[misc]
        def fit(self, data: object = None) -> None:
            self.compute_distance_metrics()

    class Fit(powerlaw.Fit):  # type: ignore[misc]
        def find_xmin(self, xmin_distance: str | None = None) -> Any:
            self.xmin_distribution = ClosedForm
            return super().find_xmin(xmin_distance)

    return Fit


METRIC = SpectrumMetric(
    compute=power_law_alpha,
    label="Power-law exponent",
    bounds=(1, None),
    scale_free=True,
    details=power_law,
)
