"""Representational similarity analysis: correlation of two sets of pairwise dissimilarities."""

from tending.core.arrays import Array
from tending.metrics.similarity import Influence, Similarity, _dissimilarities
from tending.metrics.similarity._dissimilarities import LEAST, dissimilarities, pearson


def rsa_pearson(x: Array, y: Array) -> float:
    """Pearson correlation of both sides' dissimilarities (Kriegeskorte et al., 2008).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. The dissimilarity of two
    sequences is 1 - the Pearson correlation of their rows over columns, each pair once. In
    [-1, 1], and 0 on average for unrelated representations. Subtracting the mean over columns makes
    it depend on coordinates. Raises ValueError if the row counts differ, there are fewer than 3, or
    a representation is constant, not finite, has a sequence with the same activation in all columns
    (always so for d = 1) or pairs that are all equally dissimilar.
    """
    return pearson(*dissimilarities(x, y))


def influence(x: Array, y: Array) -> Influence:
    """Compute exact leave-one-out influence of rows. Raises as `rsa_pearson` does."""
    return _dissimilarities.influence(*dissimilarities(x, y))


METRIC = Similarity(
    compare=rsa_pearson,
    label="RSA (Pearson)",
    bounds=(-1, 1),
    invariant_to=frozenset({"scaling"}),
    least=LEAST,
    influence=influence,
)
