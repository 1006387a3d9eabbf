"""Settling times of trajectories of scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ends = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bracket:
    """The half-open interval (low, high] of steps in which a layer settled.

    high is the first checkpoint from which the score stays at or above the threshold to the end,
    low the checkpoint before it. Both are None if the last score is below the threshold. A layer
    that has settled by the first checkpoint did so between the start of training and that
    checkpoint, so low is 0.
    """

    low: int | None
    high: int | None


def settles(steps: Sequence[int], scores: npt.ArrayLike, threshold: float) -> Bracket:
    """Bracket the first checkpoint from which the score stays >= threshold to the end.

    steps: ascending; scores: one per step; NaN counts as below the threshold.
    Raises ValueError if the lengths differ, there are no steps, or steps do not ascend.
    """
    values = np.asarray(scores, dtype=np.float64)
    if len(steps) != values.size or not steps:
        raise ValueError(f"{len(steps)} steps but {values.size} scores; expected one score a step")
    if any(b <= a for a, b in pairwise(steps)):
        raise ValueError(f"steps must ascend, got {list(steps)}")
    below = np.flatnonzero(~(values >= threshold))
    first = int(below[-1]) + 1 if below.size else 0
    if first == len(steps):
        return Bracket(None, None)
    return Bracket(low=steps[first - 1] if first else 0, high=steps[first])


class Settling:
    """Settling times of many trajectories, updated step by step.

    Keeps one number per threshold and cell instead of the trajectories, which would be large for
    all heads in all resamples. The bracket of every cell is that of `settles`.
    """

    def __init__(self, thresholds: Sequence[float]) -> None:
        self._thresholds = list(thresholds)
        self._steps: list[int] = []
        self._first: list[npt.NDArray[np.int32]] = []

    def add(self, step: int, scores: npt.ArrayLike) -> None:
        """Add the scores of the next step, of the same shape at every step; NaN counts as below.

        Raises ValueError if steps do not ascend.
        """
        values = np.asarray(scores)
        if self._steps and step <= self._steps[-1]:
            raise ValueError(f"steps must ascend, got {step} after {self._steps[-1]}")
        self._steps.append(step)
        if not self._first:
            self._first = [np.zeros(values.shape, dtype=np.int32) for _ in self._thresholds]
        for first, threshold in zip(self._first, self._thresholds, strict=True):
            first[~(values >= threshold)] = len(self._steps)

    def brackets(self, threshold: float) -> tuple[Ends, Ends]:
        """Return the ends of every cell's bracket; both infinite where it never settles."""
        first = self._first[self._thresholds.index(threshold)]
        before = np.array([0.0, *self._steps[:-1], np.inf])
        return before[first], np.array([*self._steps, np.inf])[first]
