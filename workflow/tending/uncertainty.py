"""A similarity with what its sequences leave open: standard error, interval, resamples, null."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from tending.metrics.similarity import Array, Influence, Matrix, Null, Similarity

DRAWS = 200  # resamples of every score, the same sequences' weights at every step and layer
NORMAL_95 = 1.959963984540054
GROUPS = 6  # of sequences, left out one by one where a metric has no influence of its own
STUDENT_95 = 2.570581835636314  # of GROUPS - 1 degrees of freedom
PERMUTATIONS = 39  # the largest but one is the 95 % quantile


@dataclass(frozen=True)
class Estimate:
    """A score and its sampling error over sequences.

    error: standard error; low, high: 95 % interval. draws: (DRAWS,) the score in resamples, of the
    same sequences at every step, so that trajectories are resampled as a whole. null_mean,
    null_high: mean and 95 % quantile of the score after permuting the sequences of one side.
    """

    value: float
    error: float
    low: float
    high: float
    draws: Matrix
    null_mean: float
    null_high: float


def estimate(metric: Similarity, x: Array, y: Array, rows_per_sequence: int = 1) -> Estimate:
    """The score of x, (n, d_x), and y, (n, d_y), and its error over the sequences of the rows.

    rows_per_sequence: neighbouring rows that belong to one sequence and are resampled together.
    Raises as metric.compare does.
    """
    value, influence = metric.influence(x, y) if metric.influence else _left_out(metric, x, y)
    clusters = influence.values.reshape(-1, rows_per_sequence).sum(axis=1)
    error = math.sqrt(float(clusters @ clusters))
    null = metric.null(x, y) if metric.null else _permuted(metric, x, y)
    draws = value + multipliers(clusters.size) @ clusters
    low, high = value - NORMAL_95 * error, value + NORMAL_95 * error
    return Estimate(value, error, low, high, draws, null.mean, null.high)


@cache
def multipliers(n: int) -> Matrix:
    """Random weights of n sequences in every resample, (DRAWS, n), of mean 0 and variance 1."""
    return np.random.default_rng(n).standard_normal((DRAWS, n))


def _left_out(metric: Similarity, x: Array, y: Array) -> tuple[float, Influence]:
    """Deviations from leaving out one of GROUPS random groups of rows at a time."""
    n = x.shape[0]
    group = np.random.default_rng(n).permutation(np.arange(n) % GROUPS)
    scores = np.array([metric.compare(x[group != g], y[group != g]) for g in range(GROUPS)])
    deviations = (scores.mean() - scores) * math.sqrt((GROUPS - 1) / GROUPS)
    sizes = np.bincount(group, minlength=GROUPS)
    return metric.compare(x, y), Influence((deviations / np.sqrt(sizes))[group])


def _permuted(metric: Similarity, x: Array, y: Array) -> Null:
    random = np.random.default_rng(x.shape[0])
    scores = [metric.compare(x, y[random.permutation(len(y))]) for _ in range(PERMUTATIONS)]
    return Null(float(np.mean(scores)), float(np.sort(scores)[-2]))
