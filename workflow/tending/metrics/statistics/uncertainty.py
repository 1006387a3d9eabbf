"""Sampling uncertainty of a similarity score: standard error, interval, resamples and null."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import (
    Influence,
    Null,
    Prepared,
    Rows,
    Similarity,
    UndefinedSimilarityError,
)

DRAWS = 200  # resamples of every score, with the same sequence weights at every step and layer
BLOCK = 1024  # sequences per block of weights; 8 blocks are cached
GROUPS = 5  # groups of the delete-a-group jackknife, for metrics without an influence function
PERMUTATIONS = 39  # the second largest, rank 38 of 39 + 1, is the 95 % quantile
PERFECT = 1e-12  # scores closer to 1 than this differ from it by rounding only
UNKNOWN = Null(math.nan, math.nan)


@dataclass(frozen=True)
class Estimate:
    """A score and its sampling error over sequences.

    error: standard error; low, high: 95 % interval. draws: (DRAWS,) the score in resamples, which
    weight sequences alike at every step, so that trajectories are resampled as a whole. null_mean,
    null_high: mean and 95 % quantile of the score after permuting the sequences of one side.
    NaN where undefined, as when the score is undefined for a subset of the sequences.
    """

    value: float
    error: float
    low: float
    high: float
    draws: Matrix
    null_mean: float
    null_high: float


@dataclass(frozen=True)
class _Sampled:
    """A score, its deviations by sequence, (sequences,), its variance and degrees of freedom."""

    value: float
    deviations: Matrix
    variance: float
    freedom: float
    null: Null | None = None


def estimate(
    metric: Similarity,
    x: Array | Rows,
    y: Array | Rows,
    rows_per_sequence: int = 1,
    prepared: Prepared | None = None,
) -> Estimate:
    """Estimate the score of x, (n, d_x), and y, (n, d_y), and its error over sequences.

    rows_per_sequence: consecutive rows that belong to one sequence and are resampled, and
    permuted, together. `Rows` are accepted by a metric that streams; with several rows per
    sequence their null is NaN. prepared: shared computations for x and y where several metrics are
    estimated. Raises as metric.compare does.
    """
    if metric.influence is not None and x.shape[0] >= metric.tall * max(x.shape[1], y.shape[1]):
        known = prepared.influence(metric) if prepared else metric.influence(x, y)
        sampled = _by_influence(known, rows_per_sequence)
    else:
        sampled = _left_out(metric, np.asarray(x), np.asarray(y), rows_per_sequence)
    null = sampled.null
    if null is None:
        null = _permuted(metric, x, y, rows_per_sequence)
    if metric.bounds[1] == 1 and 1 - sampled.value <= PERFECT:
        return Estimate(1.0, 0.0, 1.0, 1.0, np.ones(DRAWS), null.mean, null.high)
    low, high, draws = _spread(metric, sampled)
    error = math.sqrt(sampled.variance)
    return Estimate(sampled.value, error, low, high, draws, null.mean, null.high)


def resampled(deviations: Matrix) -> Matrix:
    """Return random sums of the deviations, (n,), with weights of mean 0 and variance 1, (DRAWS,).

    The weights depend on n alone. They are generated one block of sequences at a time to bound
    memory.
    """
    n = deviations.size
    starts = range(0, n, BLOCK)
    parts = [_weights(n, i)[:, : n - i] @ deviations[i : i + BLOCK] for i in starts]
    return np.asarray(np.sum(parts, axis=0))


@lru_cache(maxsize=8)
def _weights(n: int, start: int) -> Matrix:
    return np.random.default_rng([n, start]).standard_normal((DRAWS, min(BLOCK, n)))


def _by_influence(known: Influence, rows_per_sequence: int) -> _Sampled:
    """Estimate the sampling error from each row's influence, summed over the rows of a sequence.

    The jackknife counts the variance of single pairs of rows twice (the excess), which is corrected
    once; that variance is also the lower bound. With several rows per sequence no correction is
    applied, so the error is conservative.
    """
    deviations = known.values.reshape(-1, rows_per_sequence).sum(axis=1)
    variance = float(deviations @ deviations) if deviations.size > 1 else math.nan
    freedom = _freedom(deviations)
    if rows_per_sequence > 1:
        return _Sampled(known.score, deviations, variance, freedom)
    variance = max(variance - known.excess, known.excess)
    return _Sampled(known.score, deviations, variance, freedom, known.null)


def _freedom(deviations: Matrix) -> float:
    """Estimate the degrees of freedom of the sum of squared deviations (Satterthwaite, 1946).

    2 n / (k - 1), at most n - 1, with the deviations' kurtosis k, which is 3 if they are normal;
    few where a few sequences contribute most of the variance.
    """
    n, square = deviations.size, float(deviations @ deviations)
    kurtosis = n * float(np.sum(deviations**4)) / square**2 if square else 3.0
    return min(n - 1, 2 * n / (kurtosis - 1)) if kurtosis > 1 else n - 1


def _left_out(metric: Similarity, x: Array, y: Array, rows_per_sequence: int) -> _Sampled:
    """Estimate the sampling error by a delete-a-group jackknife.

    There are GROUPS random groups of sequences, or one per sequence where there are fewer.
    """
    value, n = metric.compare(x, y), len(x) // rows_per_sequence
    groups = min(n, GROUPS)
    group = np.random.default_rng(n).permutation(np.arange(n) % groups)
    of_row = np.repeat(group, rows_per_sequence)
    scores = np.array([_score(metric, x[of_row != g], y[of_row != g]) for g in range(groups)])
    deviations = (scores.mean() - scores) * math.sqrt((groups - 1) / groups)
    shared = (deviations / np.sqrt(np.bincount(group)))[group]
    return _Sampled(value, shared, float(deviations @ deviations), groups - 1)


def _score(metric: Similarity, x: Array, y: Array) -> float:
    """Return the score, or NaN if it is undefined."""
    if len(x) < metric.least:
        return math.nan
    try:
        return metric.compare(x, y)
    except UndefinedSimilarityError:
        return math.nan


def _spread(metric: Similarity, sampled: _Sampled) -> tuple[float, float, Matrix]:
    """Return the ends of the interval and the resamples, (DRAWS,).

    For a score bounded by 1 they are computed on the artanh scale, as its error shrinks towards 1.
    """
    quantile = float(special.stdtrit(sampled.freedom, 0.975))
    bent = metric.bounds[1] == 1 and abs(sampled.value) < 1
    centre = math.atanh(sampled.value) if bent else sampled.value
    error = math.sqrt(sampled.variance) / (1 - sampled.value**2 if bent else 1)
    norm = float(np.linalg.norm(sampled.deviations))
    weights = resampled(sampled.deviations)
    moves = np.concatenate([[-quantile, quantile], weights / norm if norm else weights])
    reached = centre + error * moves
    reached = np.clip(np.tanh(reached) if bent else reached, *metric.bounds)
    return float(reached[0]), float(reached[1]), reached[2:]


def _permuted(metric: Similarity, x: Array | Rows, y: Array | Rows, rows_per_sequence: int) -> Null:
    """Estimate the null from PERMUTATIONS random permutations of whole sequences."""
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
        return UNKNOWN
    random = np.random.default_rng(len(x))
    rows = np.arange(len(x)).reshape(-1, rows_per_sequence)
    try:
        score = metric.permuted(x, y) if metric.permuted else lambda o: metric.compare(x, y[o])
        scores = [score(random.permutation(rows).ravel()) for _ in range(PERMUTATIONS)]
    except UndefinedSimilarityError:
        return UNKNOWN
    return Null(float(np.mean(scores)), float(np.sort(scores)[-2]))
