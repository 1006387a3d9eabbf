"""Linear CKA, the paper's measure of convergence."""

import math

from tending.metrics.similarity import Influence, Similarity
from tending.metrics.similarity._jackknife import biased
from tending.metrics.similarity._moments import inner_products, linear
from tending.metrics.similarity._streams import Aligned, Representation


def linear_cka(x: Representation, y: Representation) -> float:
    """Linear centred kernel alignment of two representations (Kornblith et al., 2019).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. In [0, 1].
    Far above 0 for unrelated representations unless there are many more sequences than d; see
    `cka_debiased`. Raises ValueError if the row counts differ, there are fewer than 2, or a
    representation is constant or not finite.
    """
    inner = inner_products(Aligned(x, y, least=2))
    return inner.xy / math.sqrt(inner.xx) / math.sqrt(inner.yy)


def influence(x: Representation, y: Representation) -> Influence:
    """Compute exact leave-one-out influence of rows. Raises as `linear_cka` does."""
    return biased(linear(x, y))


METRIC = Similarity(
    compare=linear_cka,
    label="Linear CKA",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    influence=influence,
    streams=True,
    prepare=linear,
    of_prepared=biased,
)
