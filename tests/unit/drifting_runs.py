"""Activations of a run whose checkpoints drift, for metrics of trajectories."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tending.core import plugins
from tending.metrics.trajectory import Stack, TrajectoryMetric

PACKAGE = "tending.metrics.trajectory"
Arrays = list[npt.NDArray[np.float64]]


def drifting(count: int, n: int, width: int, seed: int = 0) -> Arrays:
    """Representations that move at random, each from the one before, with an offset."""
    random = np.random.default_rng(seed)
    steps = random.normal(size=(count, n, width)) * np.linspace(2, 0.2, count)[:, None, None]
    return list(np.cumsum(steps, axis=0) * 10.0 ** np.arange(count)[:, None, None] + 3)


def stack(arrays: Arrays, directions: int = 2) -> Stack:
    return Stack(arrays.__getitem__, len(arrays), directions)


def loaded(name: str) -> TrajectoryMetric:
    metric = plugins.load(PACKAGE, name, "trajectory metric").METRIC
    assert isinstance(metric, TrajectoryMetric)
    return metric


class InMemory:
    """Activations by component, as a file's reader gives them."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = arrays
        self.shapes = {name: array.shape for name, array in arrays.items()}

    def matrix(self, name: str, index: tuple[int, ...]) -> Any:
        return self.arrays[name][index]


def sources(steps: tuple[int, ...] = (0, 5, 20)) -> dict[int, InMemory]:
    random = np.random.default_rng(0)
    return {
        step: InMemory(
            attention_ov=random.normal(size=(2, 15, 4)), mlp_out=random.normal(size=(2, 15, 6))
        )
        for step in steps
    }


def metrics(*names: str) -> dict[str, tuple[str, TrajectoryMetric]]:
    return {n: (str(plugins.constant(f"{PACKAGE}.{n}", "OVER")), loaded(n)) for n in names}
