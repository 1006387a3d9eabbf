"""CKA of every checkpoint with every other."""

from tending.metrics.trajectory import Stack, TrajectoryMetric
from tending.metrics.trajectory._inner import Measured

OVER = "steps"
TABLED = False


def checkpoint_map(stack: Stack) -> Measured:
    """Return `cka` and `cka_debiased` of one layer at all pairs of m steps, (m, m), symmetric.

    Each comes with its error, interval and null, named as in `Stack.cka`. The row of the reference
    step holds the convergence scores.
    """
    return dict(stack.cka)


METRIC = TrajectoryMetric(
    compute=checkpoint_map,
    label="CKA of checkpoints",
    bounds=(None, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    source="Kornblith et al. 2019; Song et al. 2007",
)
