"""How far activations move from one checkpoint to the next, and how fast."""

import numpy as np

from tending.metrics.similarity import Matrix
from tending.metrics.trajectory import Stack, Tabled, TrajectoryMetric
from tending.metrics.trajectory._inner import Measured
from tending.metrics.trajectory._intervals import PARTS

OVER = "steps"
TABLED = True
MEASURES = ("cka", "cka_debiased")
ROUNDING = 1e-13  # of 1 - CKA; nearer to 1 than this, two checkpoints are the same


def drift(stack: Stack) -> Measured:
    """`cka` and `cka_debiased` of one layer at every step with the step before, (m,).

    With each its error, interval and null, by the names of `Stack.cka`. The first step has none
    before it and is NaN.
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


def speed_error(similarity: Matrix, error: Matrix, gaps: Matrix) -> Matrix:
    """Standard error of the speed, from that of the similarity by the derivative of arccos.

    0 where the similarity is 1 and has no error.
    """
    sine = np.sqrt(np.clip(1 - similarity**2, 0, None))
    moving = error > 0
    return np.where(moving | np.isnan(error), error, 0) / np.where(moving, sine, 1) / gaps


def rows(measured: Measured, progress: Matrix, reference: int) -> dict[str, Tabled]:
    """`M_step_to_step` and `M_drift_speed`, their errors and nulls; NaN at the first step.

    The speed is a falling function of the similarity: its interval and null are those of the
    similarity with their ends exchanged.
    """
    gaps, made = np.diff(progress, prepend=np.nan), dict[str, Tabled]()
    for name in MEASURES:
        parts = [measured[f"{name}{part}"] for part in PARTS]
        value, error, low, high, null_mean, null_high = parts
        moved = f"{name}_drift_speed"
        made |= Tabled.of_score(f"{name}_step_to_step", parts)
        made[moved] = Tabled(speed(value, gaps), speed(high, gaps), speed(low, gaps))
        made[f"{moved}_standard_error"] = Tabled(speed_error(value, error, gaps))
        made[f"{moved}_null"] = Tabled(speed(null_mean, gaps), low=speed(null_high, gaps))
    return made


METRIC = TrajectoryMetric(
    compute=drift,
    label="CKA with the checkpoint before",
    bounds=(None, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    source="Kornblith et al. 2019; Song et al. 2007; Williams et al. 2021",
    rows=rows,
)
