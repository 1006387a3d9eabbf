"""Late degradation: a model's best step, and the rise of its loss from there to the end.

The best step is selected on the same data that give the rise, so the observed rise is biased
upwards, and a test of that step alone would reject for most flat trajectories. All inference here
is therefore simultaneous over steps. Smaller outcomes are better.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from tending.core.arrays import Floats
from tending.metrics.statistics.means import student

LEVEL = 0.05  # two-sided, so intervals have 95 % coverage
DRAWS = 9_999
_SEED = 0
_SAME = 1e-12  # a difference whose variance is below this share is rounding


@dataclass(frozen=True)
class LatePhase:
    """Change of an outcome between its best step and the last; see docs/definitions.md.

    steps: ascending. best: the step with the lowest mean, the latest of equal ones.
    rise: mean at the last step minus the lowest mean, 0 or more, with its 95 % interval low, high.
    p: p-value of "no earlier step is better than the last"; at most LEVEL exactly where low is
    above 0.
    change, change_low, change_high: (steps,), the last mean minus that of each step, with a 95 %
    band that is simultaneous over steps.
    best_p: (steps,), p-value of "no other step is better than this one".
    Intervals and p-values are NaN with a single step, or with no estimate of the error.
    """

    steps: tuple[int, ...]
    best: int
    rise: float
    low: float
    high: float
    p: float
    change: Floats
    change_low: Floats
    change_high: Floats
    best_p: Floats

    @property
    def among_best(self) -> tuple[int, ...]:
        """Steps not significantly worse than the best: a 97.5 % confidence set for it."""
        told_apart = self.best_p <= LEVEL
        unknown = np.isnan(self.best_p)
        kept = zip(self.steps, told_apart | unknown, strict=True)
        return tuple(step for step, out in kept if not out)


def of_losses(steps: Sequence[int], losses: npt.ArrayLike, draws: int = DRAWS) -> LatePhase:
    """Assess the late phase from the losses of the same sequences at every step.

    losses: (steps, sequences). Differences between steps are paired. The null distribution of the
    largest of their t-ratios over steps is simulated, with a fixed seed, as that of a multivariate
    t: normal with the observed covariance, over one chi variable with n - 1 degrees of freedom
    (Hothorn, Bretz & Westfall 2008). Raises ValueError if steps repeat or a loss is not finite.
    """
    order, values = _ordered(steps, np.asarray(losses, dtype=np.float64))
    if not np.isfinite(values).all():
        bad = order[int(np.argmin(np.isfinite(values).all(axis=1)))]
        raise ValueError(f"the losses at step {bad} are not all finite; extract that step again")
    means, (number, n) = values.mean(axis=1), values.shape
    if n < 2 or number < 2:
        return _unjudged(order, means)
    # a sequence's mean over steps cancels in every difference, so it is removed first
    covariance = np.cov(values - values.mean(axis=0)) / n
    squares = _of_pairs(np.diag(covariance)) - 2 * covariance
    same = squares <= _SAME * _of_pairs(values.var(axis=1)) / n
    errors = np.sqrt(np.where(same, 0.0, squares))
    ratios = _Ratios(covariance, errors, n - 1, draws)
    p = [ratios.p_value(s, t) for s, t in enumerate(_statistics(means, errors))]
    return _assessed(order, means, errors[-1], ratios.critical(number - 1), student(n - 1), p)


def of_means(
    values: npt.ArrayLike,
    errors: npt.ArrayLike,
    steps: Sequence[int],
    *,
    higher_is_better: bool = False,
) -> LatePhase:
    """Assess the late phase from one value and standard error per step, if no more is known.

    values, errors: (steps,); a step without a value is left out, and if any other step has no
    error, there are no intervals and p-values. For a score where higher is better, `rise` is the
    fall from its best, and `change` has the opposite sign of the score's change.

    ASSUME: errors of two steps are not negatively correlated, as holds for the same items at every
    step. The error of a difference is then at most the root of the sum of squares, and
    Bonferroni's bound holds for any correlation. The gain from pairing cannot be recovered: where
    the same items were used, the true interval is narrower, often several times.
    """
    sign = -1.0 if higher_is_better else 1.0
    table = np.column_stack([np.asarray(x, dtype=np.float64) for x in (values, errors)])
    order, table = _ordered(steps, table)
    known = np.isfinite(table[:, 0])
    if not known.any():
        raise ValueError("no step has a value, so there is no best one")
    order = [step for step, kept in zip(order, known, strict=True) if kept]
    means, own = sign * table[known, 0], table[known, 1]
    if (own < 0).any():
        raise ValueError(f"standard errors are not negative, found {own.min():g}")
    others = len(order) - 1
    if not np.isfinite(own).all() or not others:
        return _unjudged(order, means)
    pairs = np.hypot(own[:, None], own[None, :])
    np.fill_diagonal(pairs, 0.0)
    p = np.minimum(1.0, 2 * others * ndtr(-_statistics(means, pairs)))
    critical = -float(ndtri(LEVEL / 2 / others))
    return _assessed(order, means, pairs[-1], critical, -ndtri(LEVEL / 2), p)


class _Ratios:
    """Draws of the t-ratios of all differences between steps under equal means."""

    def __init__(self, covariance: Floats, errors: Floats, degrees: int, draws: int) -> None:
        random = np.random.default_rng(_SEED)
        values, vectors = np.linalg.eigh(covariance)
        # the symmetric root is as stable under rounding as the covariance itself
        root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        normal = random.standard_normal((draws, len(covariance)))
        scale = np.sqrt(degrees / random.chisquare(degrees, size=(draws, 1)))
        self._means = scale * (normal @ root)
        # an upper bound: each ratio is scale times the product of a `normal` row and a unit vector
        self._most = float((scale * np.linalg.norm(normal, axis=1, keepdims=True)).max())
        self._errors = errors
        self._draws = draws

    def _largest(self, step: int) -> Floats:
        """Return, per draw, the largest ratio by which another step beats this one, (draws,)."""
        other = self._errors[step] > 0
        if not other.any():
            return np.full(self._draws, -np.inf)
        better = self._means[:, [step]] - self._means[:, other]
        return np.asarray((better / self._errors[step, other]).max(axis=1))

    def p_value(self, step: int, statistic: float) -> float:
        """Return the two-sided p-value of a step's largest ratio (Phipson & Smyth 2010)."""
        reached = 0
        if statistic <= self._most * (1 + 1e-9):
            reached = int((self._largest(step) >= statistic).sum())
        return min(1.0, 2 * (1 + reached) / (1 + self._draws))

    def critical(self, step: int) -> float:
        """Return the ratio above which the p-value is at most LEVEL."""
        rank = max(1, int(np.floor(LEVEL / 2 * (1 + self._draws))))
        return max(0.0, float(np.sort(self._largest(step))[-rank]))


def _ordered(steps: Sequence[int], rows: Floats) -> tuple[list[int], Floats]:
    """Sort steps in ascending order, and their rows with them."""
    if len(steps) != len(rows) or not len(rows):
        raise ValueError(f"{len(steps)} steps have {len(rows)} outcomes; there must be one of each")
    if len(set(steps)) != len(steps):
        raise ValueError(f"a step is there twice among {sorted(steps)}; give each outcome once")
    order = np.argsort(steps)
    return [int(steps[i]) for i in order], rows[order]


def _of_pairs(variances: Floats) -> Floats:
    """Return the sum of variances of each pair of steps, (steps, steps)."""
    return np.asarray(variances[:, None] + variances[None, :])


def _statistics(means: Floats, errors: Floats) -> Floats:
    """Return the largest ratio by which another step is better, (steps,); inf if without error."""
    lead = means[:, None] - means[None, :]
    certain = np.where(lead > 0, np.inf, -np.inf)
    ratios = np.divide(lead, errors, out=certain, where=errors > 0)
    np.fill_diagonal(ratios, -np.inf)
    return np.asarray(ratios.max(axis=1))


def _best(means: Floats) -> int:
    """Return the index of the lowest mean, the latest of equal ones."""
    return int(np.flatnonzero(means == means.min())[-1])


def _assessed(
    steps: Sequence[int],
    means: Floats,
    errors: Floats,
    critical: float,
    pointwise: npt.ArrayLike,
    best_p: npt.ArrayLike,
) -> LatePhase:
    """Assemble the result from means, errors and critical values.

    errors: (steps,), standard errors of the differences from the last step. critical: critical
    value of the largest ratio over all steps; pointwise: that of the ratio of one fixed step.
    """
    change = means[-1] - means
    p = np.asarray(best_p, dtype=np.float64)
    best = _best(means)
    return LatePhase(
        steps=tuple(steps),
        best=steps[best],
        rise=float(change[best]),
        # The maximum includes the last step, whose change is exactly 0, so it is never below 0.
        low=float((change - critical * errors).max()),
        # Covering the truly best step suffices, and that step does not depend on the data.
        high=float((change + np.asarray(pointwise) * errors).max()),
        p=float(p[-1]),
        change=change,
        change_low=change - critical * errors,
        change_high=change + critical * errors,
        best_p=p,
    )


def _unjudged(steps: Sequence[int], means: Floats) -> LatePhase:
    """Return the best step and the observed rise, without intervals or p-values."""
    nothing = np.full(len(steps), np.nan)
    best, change = _best(means), means[-1] - means
    lost, missing = float(change[best]), float("nan")
    return LatePhase(
        steps=tuple(steps),
        best=steps[best],
        rise=lost,
        low=missing,
        high=missing,
        p=missing,
        change=change,
        change_low=nothing,
        change_high=nothing,
        best_p=nothing,
    )
