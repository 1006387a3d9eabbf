"""Linear CKA, the paper's measure of convergence."""

import math

from tending.metrics.similarity import Array, Similarity, gram_inner, paired


def linear_cka(x: Array, y: Array) -> float:
    """Linear centred kernel alignment of two representations (Kornblith et al., 2019).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. In [0, 1].
    Far above 0 for unrelated representations when sequences are not many more than d; see
    `cka_debiased`. Raises ValueError if the row counts differ, there are fewer than 2, or a
    representation is constant or not finite.
    """
    x, y = paired(x, y, least=2)
    # two square roots: the product of the norms may overflow where they do not
    return gram_inner(x, y) / math.sqrt(gram_inner(x, x)) / math.sqrt(gram_inner(y, y))


METRIC = Similarity(
    compare=linear_cka,
    label="Linear CKA",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
)
