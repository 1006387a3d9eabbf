"""CKA of every layer with every other layer at one step, also across components."""

from tending.metrics.trajectory import Stack, TrajectoryMetric
from tending.metrics.trajectory._inner import Measured

OVER = "layers"
TABLED = False


def layer_map(stack: Stack) -> Measured:
    """Return `cka` and `cka_debiased` of all pairs of m layers at one step, (m, m), symmetric.

    Each comes with its error, interval and null, named as in `Stack.cka`.
    """
    return dict(stack.cka)


METRIC = TrajectoryMetric(
    compute=layer_map,
    label="CKA of layers",
    bounds=(None, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    source="Kornblith et al. 2019; Song et al. 2007",
)
