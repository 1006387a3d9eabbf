"""Errors and intervals of many scores at once, as `statistics.uncertainty` computes for one."""

import numpy as np
from scipy import special

from tending.core.arrays import Matrix

GROUPS = 5  # groups of the delete-a-group jackknife, for scores without an influence function
PERFECT = 1e-12  # scores closer to 1 than this differ from it by rounding only
ERROR, LOW, HIGH = "_standard_error", "_low", "_high"
NULL_MEAN, NULL_HIGH = "_null_mean", "_null_high"
PARTS = ("", ERROR, LOW, HIGH, NULL_MEAN, NULL_HIGH)  # suffixes of a score's name


def with_errors(
    name: str,
    score: Matrix,
    variance: Matrix,
    freedom: Matrix | float,
    bounds: tuple[float | None, float],
) -> dict[str, Matrix]:
    """Return a score, its standard error and the ends of its 95 % interval, by name.

    All of one shape. The interval is score +- t errors on the artanh scale, with Student's t for
    `freedom` degrees of freedom, clipped to the bounds. A score of 1 has an error of 0.
    """
    bent, error = np.abs(score) < 1, np.sqrt(variance)
    centre = np.where(bent, np.arctanh(np.where(bent, score, 0)), score)
    half = special.stdtrit(freedom, 0.975) * error / np.where(bent, 1 - score**2, 1)
    low, high = (
        np.clip(np.where(bent, np.tanh(centre + move), centre + move), *bounds)
        for move in (-half, half)
    )
    same = 1 - score <= PERFECT
    return {
        name: np.where(same, 1.0, score),
        f"{name}{ERROR}": np.where(same, 0.0, error),
        f"{name}{LOW}": np.where(same, 1.0, low),
        f"{name}{HIGH}": np.where(same, 1.0, high),
    }


def with_null(name: str, mean: Matrix, high: Matrix) -> dict[str, Matrix]:
    """Return the mean and 95 % quantile of a score after permuting the sequences, by name."""
    return {f"{name}{NULL_MEAN}": mean, f"{name}{NULL_HIGH}": high}


def jackknifed(without: Matrix) -> Matrix:
    """Convert leave-one-out scores to deviations, (n, ...), whose squares sum to the variance."""
    n = len(without)
    return np.asarray((without.mean(axis=0) - without) * np.sqrt((n - 1) / n))


def freedom(deviations: Matrix) -> Matrix:
    """Estimate the degrees of freedom of sums of squared deviations (Satterthwaite, 1946).

    deviations: (n, ...). Returns 2 n / (k - 1), (...), with their kurtosis k, at most n - 1.
    """
    n, each = len(deviations), deviations * deviations
    squares, fourth = each.sum(axis=0), n * (each * each).sum(axis=0)
    known = squares > 0
    kurtosis = np.where(known, fourth, 3.0) / np.where(known, squares, 1.0) ** 2
    spread = kurtosis > 1
    return np.where(spread, np.minimum(n - 1, 2 * n / np.where(spread, kurtosis - 1, 1)), n - 1)
