"""Distance and speed of activations' movement from one checkpoint to the next."""

import numpy as np

from tending.core.arrays import Matrix
from tending.metrics.trajectory import Stack, Tabled, TrajectoryMetric
from tending.metrics.trajectory._inner import Measured
from tending.metrics.trajectory._intervals import PARTS

OVER = "steps"
TABLED = True
MEASURES = ("cka", "cka_debiased")
ROUNDING = 1e-13  # two checkpoints with 1 - CKA below this are equal


def drift(stack: Stack) -> Measured:
    """Return `cka` and `cka_debiased` of one layer at every step with the previous step, (m,).

    Each comes with its error, interval and null, named as in `Stack.cka`. The first step has no
    predecessor and is NaN.
    """
    return {
        name: np.concatenate([[np.nan], np.diagonal(pairs, offset=1)])
        for name, pairs in stack.cka.items()
    }


def speed(similarity: Matrix, gaps: Matrix) -> Matrix:
    """Angle between consecutive checkpoints per fraction of training between them, (..., m).

    similarity: (..., m), CKA with the previous checkpoint. gaps: (m,), fraction of training between
    the two. In radians per training run, 0 or more. CKA, biased or not, is a cosine, so its angle
    obeys the triangle inequality (Williams et al., 2021): it is at most the length of the path
    between the checkpoints, so the value is a lower bound of the mean speed along it. 1 - CKA has
    no such interpretation, as it grows with the square of a small angle.
    """
    near = np.abs(1 - similarity) < ROUNDING
    angles = np.arccos(np.clip(np.where(near, 1.0, similarity), -1, 1))
    return np.asarray(angles / gaps)


def speed_error(similarity: Matrix, error: Matrix, gaps: Matrix) -> Matrix:
    """Standard error of the speed, from that of the similarity by the derivative of arccos.

    0 where the similarity is 1 and its error 0.
    """
    sine = np.sqrt(np.clip(1 - similarity**2, 0, None))
    moving = error > 0
    return np.where(moving | np.isnan(error), error, 0) / np.where(moving, sine, 1) / gaps


def rows(measured: Measured, progress: Matrix, reference: int) -> dict[str, Tabled]:
    """Return `M_step_to_step` and `M_drift_speed` for each measure M, with errors and nulls.

    NaN at the first step. The speed decreases with the similarity, so the ends of its interval and
    null are those of the similarity swapped.
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
