"""How far activations move from one checkpoint to the next, and how fast."""

import numpy as np

from tending.metrics.similarity import Matrix
from tending.metrics.trajectory import Stack, TrajectoryMetric
from tending.metrics.trajectory._inner import Measured

OVER = "steps"
TABLED = True
ROUNDING = 1e-13  # of 1 - CKA; nearer to 1 than this, two checkpoints are the same


def drift(stack: Stack) -> Measured:
    """`cka` and `cka_debiased` of one layer at every step with the step before, (m,).

    The first step has none before it and is NaN.
    """
    return {
        name: np.concatenate([[np.nan], np.diagonal(pairs, offset=1)])
        for name, pairs in stack.cka.items()
    }


def speed(similarity: Matrix, gaps: Matrix) -> Matrix:
    """Angle between consecutive checkpoints over the training between them, (..., m).

    similarity: (..., m) CKA with the checkpoint before. gaps: (m,) fractions of the training
    between the two. In radians per training, 0 or more. CKA, biased or not, is a cosine, so its
    angle obeys the triangle inequality (Williams et al., 2021): over a gap it is at most the
    length of the path, and the value a lower bound of the mean speed along it. 1 - CKA has no
    such meaning, as it grows with the square of a small angle.
    """
    near = np.abs(1 - similarity) < ROUNDING
    angles = np.arccos(np.clip(np.where(near, 1.0, similarity), -1, 1))
    return np.asarray(angles / gaps)


def rows(measured: Measured, progress: Matrix, reference: int) -> Measured:
    """`M_step_to_step` and `M_drift_speed`, (layers, m); NaN at the first step."""
    gaps = np.diff(progress, prepend=np.nan)
    similar = {f"{name}_step_to_step": values for name, values in measured.items()}
    return similar | {f"{name}_drift_speed": speed(v, gaps) for name, v in measured.items()}


METRIC = TrajectoryMetric(
    compute=drift,
    label="CKA with the checkpoint before",
    bounds=(None, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    source="Kornblith et al. 2019; Song et al. 2007; Williams et al. 2021",
    rows=rows,
)
