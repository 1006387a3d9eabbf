"""Correlation of two series of one training beyond what both have in common with its step."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from tending.metrics.statistics.means import student
from tending.metrics.statistics.rank_correlation import interval

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
LEAST = 5  # steps: 3 are fitted by a line and two means, and one more would leave only -1 or 1
LEAST_MODELS = 3  # of two, what one has above the mean of both the other has below
MOST = 1 - 1e-9  # coefficients nearer to 1 are counted as this, whose artanh is finite
NOTHING_LEFT = 1e-9  # share of a series' norm below which its residual is rounding


@dataclass(frozen=True)
class Partial:
    """A partial correlation in [-1, 1], its 95 % interval and p-value, and the number of steps.

    NaN where undefined or not justified. moved: what the correlation is when one side is moved in
    time against the other, in every way, unmoved first; steps: those that count. Both are empty
    if it is undefined, or of several models.
    """

    value: float
    low: float
    high: float
    p_value: float
    n: int
    moved: Array = field(default_factory=lambda: np.empty(0))
    steps: Array = field(default_factory=lambda: np.empty(0))


def partial(x: npt.ArrayLike, y: npt.ArrayLike, steps: npt.ArrayLike, *, ranks: bool) -> Partial:
    """Partial correlation of x and y, both (T,), given the training step, (T,).

    ranks: Spearman's, of the ranks of x and y, less their line on the rank of the step; otherwise
    Pearson's, less the line on log(step + 1). NaN is missing on either side. Undefined for fewer
    than LEAST steps, or where one side is the line itself: for ranks, any series that only rises
    or only falls. p-value: share of the 2 T circular shifts of y, forwards and reversed, that
    correlate at least as strongly; it holds for stationary residuals, not for exchangeable ones.
    Interval: Fisher's z for `effective_steps`; none for fewer than 5.
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


def effective_steps(x: Array, y: Array) -> float:
    """Independent steps that two detrended series of T steps are worth (Bartlett 1935).

    T (1 - a b) / (1 + a b), with a and b their correlations with themselves one step later, which
    the line makes too small, by (2 + 4 a) / T, so that much is put back; at most T.
    """
    n = x.size
    a, b = (float(np.clip((n * (s[1:] @ s[:-1]) / (s @ s) + 2) / (n - 4), 0, 0.99)) for s in (x, y))
    return n * (1 - a * b) / (1 + a * b)


def pooled(parts: Sequence[Partial]) -> Partial:
    """The mean of several models' coefficients on the scale of artanh, as `Partial`.

    Interval: Student's over the models, whatever their steps are worth; none for one model.
    p-value: share of shifts that all models make together, so that a course of training that they
    have in common is no evidence twice; NaN if their steps differ. Models without a coefficient
    are left out.
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
    """Correlation of x and y, both (models, T), beyond what all models do at a step, (T,).

    Of both, the mean over models at every step is taken off, of any shape, and then every model's
    own line on log(step + 1). Undefined for fewer than LEAST_MODELS models or LEAST steps, or
    where nothing is left. p-value: share of the 2 T circular shifts, forwards and reversed, of all
    models' y together. No interval: at every step the models' rests add up to 0, so they are no
    replicates.
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


def _line(z: Array) -> Array:
    """Orthonormal basis of constant and line, (2, T)."""
    constant, centred = np.full(z.size, z.size**-0.5), z - z.mean()
    return np.stack([constant, centred / np.linalg.norm(centred)])


def _without(series: Array, basis: Array) -> Array:
    """Series, (..., T), less what `basis` explains of them."""
    return np.asarray(series - (series @ basis.T) @ basis, dtype=np.float64)


def _moved(x: Array, y: Array, basis: Array) -> Array:
    """Correlation of x with every circular shift of y, forwards and reversed; unmoved first.

    A shifted residual may have a line again, which is taken off, as it was of the series.
    """
    shifted = _without(y[_orders(x.size)], basis)
    return _scaled(shifted @ x, np.linalg.norm(shifted, axis=1))


def _scaled(products: Array, norms: Array) -> Array:
    """Correlations, 0 where a shift leaves nothing."""
    return np.divide(products, norms, out=np.zeros(len(norms)), where=norms > NOTHING_LEFT)


def _orders(n: int) -> Indices:
    """Every circular shift of n steps, then of the reversed steps, (2 n, n); unmoved first."""
    forwards = np.add.outer(np.arange(n), np.arange(n)) % n
    return np.concatenate([forwards, n - 1 - forwards])


def _share(moved: Array) -> float:
    return float(np.mean(np.abs(moved) >= abs(moved[0]) - 1e-9))
