"""Representational similarity analysis by ranks of the pairwise dissimilarities."""

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Indices, Influence, Similarity
from tending.metrics.similarity._dissimilarities import (
    LEAST,
    ROUNDING,
    chance,
    dissimilarities,
    pearson,
    square,
)
from tending.metrics.similarity._jackknife import pair_excess


def rsa_spearman(x: Array, y: Array) -> float:
    """Spearman correlation of both sides' dissimilarities (Kriegeskorte et al., 2008).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. The dissimilarity of two
    sequences is 1 - the Pearson correlation of their rows over columns, each pair once; ties
    share their mean rank. In [-1, 1], and 0 on average for unrelated representations. Subtracting
    the mean over columns makes it depend on coordinates. Raises ValueError as `rsa_pearson` does.
    """
    a, b = dissimilarities(x, y)
    return pearson(_ranks(a), _ranks(b))


def influence(x: Array, y: Array) -> Influence:
    """Compute the score's derivative by the weight of each row's pairs.

    A pair enters through its own ranks, and by shifting the ranks of all pairs above it. Raises as
    `rsa_spearman` does.
    """
    a, b = dissimilarities(x, y)
    u, v = (r - r.mean() for r in (_ranks(a), _ranks(b)))
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    score = float(u @ v)
    steps = _norm_of_step(a), _norm_of_step(b)
    pairs = u * v - score / 2 * (u * u + v * v)
    pairs += _above(a, v - score * u) / steps[0] + _above(b, u - score * v) / steps[1]
    of_pairs, n = square(pairs), len(x)
    # from derivatives to deletions: n / (n - 2) for the remaining pairs, and the jackknife factor
    values = of_pairs.sum(axis=1) * n / (n - 2) * np.sqrt((n - 1) / n)
    return Influence(score, values, pair_excess(of_pairs / 2), chance(square(u), square(v)))


def _norm_of_step(values: Matrix) -> float:
    """Return the norm of the ranks about their mean, which normalises a step of one rank."""
    ranks = _ranks(values)
    return float(np.linalg.norm(ranks - ranks.mean()))


def _above(values: Matrix, weights: Matrix) -> Matrix:
    """Sum, for each value, the weights of larger values and half of those of equal ones."""
    order, group = _tied(values)
    sums = np.bincount(group, weights=weights[order])
    above = sums.sum() - np.cumsum(sums) + sums / 2
    result = np.empty(len(values))
    result[order] = above[group]
    return result


def _ranks(values: Matrix) -> Matrix:
    """Rank values from 0; values that differ by rounding only tie and share their mean rank."""
    order, group = _tied(values)
    means = np.bincount(group, weights=np.arange(len(values))) / np.bincount(group)
    ranks = np.empty(len(values))
    ranks[order] = means[group]
    return ranks


def _tied(values: Matrix) -> tuple[Indices, Indices]:
    """Return the order of the values, and the group of equal ones of each sorted value."""
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order]) > ROUNDING * values.max()
    return order, np.concatenate([[0], np.cumsum(steps)])


METRIC = Similarity(
    compare=rsa_spearman,
    label="RSA (Spearman)",
    bounds=(-1, 1),
    invariant_to=frozenset({"scaling"}),
    least=LEAST,
    influence=influence,
)
