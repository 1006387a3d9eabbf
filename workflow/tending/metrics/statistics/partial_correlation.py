"""Correlation of two series of one training run after controlling for the training step."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from tending.core.arrays import Floats
from tending.metrics.statistics.means import student
from tending.metrics.statistics.rank_correlation import interval

Indices = npt.NDArray[np.int64]
LEAST = 5  # steps: detrending fits 3 steps exactly, and with 4 the coefficient is always -1 or 1
LEAST_MODELS = 3  # with two models, deviations from their mean are mirror images
MOST = 1 - 1e-9  # coefficients are clipped here, so that artanh stays finite
NOTHING_LEFT = 1e-9  # share of a series' norm below which its residual is rounding


@dataclass(frozen=True)
class Partial:
    """A partial correlation in [-1, 1], its 95 % interval and p-value, and the number of steps.

    NaN where undefined or not justified. moved: the correlation under every circular shift of one
    side against the other, unshifted first; steps: the steps that enter. Both are empty if the
    correlation is undefined or pooled over models.
    """

    value: float
    low: float
    high: float
    p_value: float
    n: int
    moved: Floats = field(default_factory=lambda: np.empty(0))
    steps: Floats = field(default_factory=lambda: np.empty(0))


def partial(x: npt.ArrayLike, y: npt.ArrayLike, steps: npt.ArrayLike, *, ranks: bool) -> Partial:
    """Compute the partial correlation of x and y, both (T,), given the training step, (T,).

    ranks: Spearman's, between the residuals of the ranks of x and y after a linear fit on the rank
    of the step; otherwise Pearson's, after a linear fit on log(step + 1). Steps where either side
    is NaN are left out. Undefined for fewer than LEAST steps, or where one side equals its fit: for
    ranks, any strictly monotonic series. p-value: share of the 2 T circular shifts of y, forwards
    and reversed, that correlate at least as strongly; it assumes stationary residuals, not
    exchangeable ones. Interval: Fisher's z with `effective_steps`; none for fewer than 5.
    """
    sides = np.stack([np.asarray(series, dtype=np.float64) for series in (x, y)])
    at = np.asarray(steps, dtype=np.float64)
    kept = ~np.isnan(sides).any(axis=0)
    n = int(kept.sum())
    if n < LEAST:
        return _undefined(n)
    sides, at = sides[:, kept], at[kept]
    values = rankdata(sides, axis=1) if ranks else sides
    basis = _line(rankdata(at) if ranks else np.log1p(at))
    left = values - values.mean(axis=1, keepdims=True)
    whole = np.linalg.norm(left, axis=1)
    left = _without(left, basis)
    norms = np.linalg.norm(left, axis=1)
    if (norms <= NOTHING_LEFT * whole).any():
        return _undefined(n)
    left /= norms[:, None]
    moved = _moved(left[0], left[1], basis)
    effective = effective_steps(left[0], left[1]) - 1  # the line costs one
    low, high = (float(end) for end in interval(moved[0], effective))
    return Partial(float(moved[0]), low, high, _share(moved), n, moved, at)


def effective_steps(x: Floats, y: Floats) -> float:
    """Estimate the effective number of independent steps of two detrended series (Bartlett 1935).

    x, y: (T,). Returns T (1 - a b) / (1 + a b), at most T, where a and b are the lag-1
    autocorrelations. Detrending biases these downwards by (2 + 4 a) / T, which is corrected for.
    """
    n = x.size
    a, b = (float(np.clip((n * (s[1:] @ s[:-1]) / (s @ s) + 2) / (n - 4), 0, 0.99)) for s in (x, y))
    return n * (1 - a * b) / (1 + a * b)


def pooled(parts: Sequence[Partial]) -> Partial:
    """Average several models' coefficients on the artanh scale.

    Interval: Student's over models, whatever their effective numbers of steps; none for one model.
    p-value: share of shifts, applied to all models jointly so that a course of training common to
    them does not count as independent evidence; NaN if their steps differ. Models without a
    coefficient are left out.
    """
    defined = [part for part in parts if part.moved.size]
    if not defined:
        return _undefined(0)
    z = np.arctanh(np.clip([part.value for part in defined], -MOST, MOST))
    mean, n = float(z.mean()), sum(part.n for part in defined)
    half = np.nan
    if len(z) > 1:
        half = student(len(z) - 1) * float(z.std(ddof=1)) / len(z) ** 0.5
    p_value = np.nan
    if all(np.array_equal(part.steps, defined[0].steps) for part in defined):
        moved = np.arctanh(np.clip([part.moved for part in defined], -MOST, MOST)).mean(axis=0)
        p_value = _share(moved)
    low, high = float(np.tanh(mean - half)), float(np.tanh(mean + half))
    return Partial(float(np.tanh(mean)), low, high, p_value, n)


def within_steps(x: npt.ArrayLike, y: npt.ArrayLike, steps: npt.ArrayLike) -> Partial:
    """Correlate x and y, both (models, T), after removing the course common to all models.

    From both, the mean over models at each of the steps, (T,), is subtracted, and then each model's
    own linear fit on log(step + 1). Undefined for fewer than LEAST_MODELS models or LEAST steps,
    or where nothing is left. p-value: share of the 2 T circular shifts, forwards and reversed,
    applied to all models' y jointly, that correlate at least as strongly. No interval: at every
    step the models' residuals sum to zero, so they are not independent replicates.
    """
    sides = np.stack([np.asarray(side, dtype=np.float64) for side in (x, y)])
    n = sides[0].size
    if sides.shape[1] < LEAST_MODELS or sides.shape[2] < LEAST:
        return _undefined(n)
    basis = _line(np.log1p(np.asarray(steps, dtype=np.float64)))
    whole = np.linalg.norm(sides - sides.mean(axis=(1, 2), keepdims=True), axis=(1, 2))
    left = _without(sides - sides.mean(axis=1, keepdims=True), basis)
    norms = np.linalg.norm(left, axis=(1, 2))
    if (norms <= NOTHING_LEFT * whole).any():
        return _undefined(n)
    (one, other), nan = left / norms[:, None, None], float("nan")
    shifted = _without(other[:, _orders(sides.shape[2])], basis)  # (models, 2 T, T)
    products = np.einsum("mt,mst->s", one, shifted)
    moved = _scaled(products, np.linalg.norm(shifted, axis=(0, 2)))
    return Partial(float(moved[0]), nan, nan, _share(moved), n, moved)


def _undefined(n: int) -> Partial:
    nan = float("nan")
    return Partial(nan, nan, nan, nan, n)


def _line(z: Floats) -> Floats:
    """Return an orthonormal basis of a constant and a linear term in z, (2, T)."""
    constant, centred = np.full(z.size, z.size**-0.5), z - z.mean()
    return np.stack([constant, centred / np.linalg.norm(centred)])


def _without(series: Floats, basis: Floats) -> Floats:
    """Return the residuals of series, (..., T), after projection on `basis`, (k, T)."""
    return np.asarray(series - (series @ basis.T) @ basis, dtype=np.float64)


def _moved(x: Floats, y: Floats, basis: Floats) -> Floats:
    """Correlate x with every circular shift of y, forwards and reversed; unshifted first.

    A shifted residual may have a linear trend again, which is removed as from the series.
    """
    shifted = _without(y[_orders(x.size)], basis)
    return _scaled(shifted @ x, np.linalg.norm(shifted, axis=1))


def _scaled(products: Floats, norms: Floats) -> Floats:
    """Divide products by norms to get correlations; 0 where a shift leaves nothing."""
    return np.divide(products, norms, out=np.zeros(len(norms)), where=norms > NOTHING_LEFT)


def _orders(n: int) -> Indices:
    """Return every circular shift of n steps, then of the reversed ones, (2 n, n); unshifted first.

    Each row holds indices.
    """
    forwards = np.add.outer(np.arange(n), np.arange(n)) % n
    return np.concatenate([forwards, n - 1 - forwards])


def _share(moved: Floats) -> float:
    return float(np.mean(np.abs(moved) >= abs(moved[0]) - 1e-9))
