"""Representational similarity analysis by ranks: are pairs ordered alike by how they differ?"""

import numpy as np

from tending.metrics.similarity import Array, Matrix, Similarity
from tending.metrics.similarity._dissimilarities import (
    LEAST,
    ROUNDING,
    dissimilarities,
    pearson,
)


def rsa_spearman(x: Array, y: Array) -> float:
    """Spearman correlation of both sides' dissimilarities (Kriegeskorte et al., 2008).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. The dissimilarity of two
    sequences is 1 - the Pearson correlation of their rows over columns, each pair once; ties
    have their mean rank. In [-1, 1], and 0 on average for unrelated representations. The mean over
    columns makes it depend on coordinates. Raises ValueError as `rsa_pearson` does.
    """
    a, b = dissimilarities(x, y)
    return pearson(_ranks(a), _ranks(b))


def _ranks(values: Matrix) -> Matrix:
    """Ranks from 0; values that differ by rounding only tie and share their mean rank."""
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order]) > ROUNDING * values.max()
    group = np.concatenate([[0], np.cumsum(steps)])
    means = np.bincount(group, weights=np.arange(len(values))) / np.bincount(group)
    ranks = np.empty(len(values))
    ranks[order] = means[group]
    return ranks


METRIC = Similarity(
    compare=rsa_spearman,
    label="RSA (Spearman)",
    bounds=(-1, 1),
    invariant_to=frozenset({"scaling"}),
    least=LEAST,
)
