"""Map of CKA between all pairs of checkpoints of one layer, with intervals and nulls."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from bench.measure import Row, installed
from bench.rows.similarity import features
from tending.metrics.trajectory import Stack
from tending.metrics.trajectory.checkpoint_map import METRIC

Array = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

STEPS = 27
SHAPES = ((128, 1024), (512, 1024))  # rows, width
SMALL = (128, 512)  # for alternatives that compute pairs one by one
WITHIN = 1 / 2  # target: at most twice as long as the matrix products alone


def rows(threads: int) -> Iterator[Row]:
    """Yield rows against the matrix products alone, which give no scores, and against pairs."""
    for n, d in SHAPES:
        steps = activations(n, d)
        kernels = np.random.default_rng(1).standard_normal((STEPS, n * n))
        one = partial(products, np.stack(steps).astype(np.float64), kernels)
        yield _row(steps, one, "the matrix products that it needs, without symmetry", WITHIN)
    small = activations(*SMALL)
    yield _row(small, partial(pairwise, small), "feature space, NumPy, scores of every pair")
    if installed("repsim"):
        yield _row(small, partial(_repsim, small), "repsim 0.1.5, cka of a list, scores")


def _row(
    steps: list[Array], other: Callable[[], object], alternative: str, target: float | None = None
) -> Row:
    n, d = steps[0].shape
    return Row(
        work=f"map of {STEPS} checkpoints: CKA, debiased CKA, intervals, nulls",
        shape=f"n = {n}, d = {d}",
        ours=lambda: METRIC.compute(Stack(steps.__getitem__, STEPS, 8)),
        other=other,
        alternative=alternative,
        # kernels; their products by pairs of steps, with those of powers for two kinds; cubes
        flops=float(STEPS * n**2 * d + 5 * STEPS**2 * n**2 + STEPS * n**3),
        bytes=4.0 * STEPS * n * d,
        target=target,
    )


def activations(n: int, d: int) -> list[Array]:
    """Draw activations of steps that move away from the first."""
    rng = np.random.default_rng(0)
    first, moved = rng.standard_normal((2, n, d), dtype=np.float32)
    return [first + np.float32(0.1 * step) * moved for step in range(STEPS)]


def products(stacked: Matrix, kernels: Matrix) -> tuple[Matrix, Matrix]:
    """Multiply activations, (27, n, d), and kernels, (27, n^2), by their transposes.

    The copies keep NumPy from recognising the products as symmetric.
    """
    return stacked @ stacked.swapaxes(1, 2).copy(), kernels @ kernels.T.copy()


def pairwise(steps: list[Array]) -> list[object]:
    """Compute scores pair by pair."""
    return [features(steps[i], steps[j]) for i in range(STEPS) for j in range(i + 1, STEPS)]


def _repsim(steps: list[Array]) -> object:
    import repsim

    return [repsim.cka(steps, "linear", estimator) for estimator in ("gretton", "song")]
