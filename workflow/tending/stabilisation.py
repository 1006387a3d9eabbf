"""When a trajectory of scores settles."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Bracket:
    """The half-open interval (low, high] of steps in which a layer settled.

    low is the last checkpoint before it, high the first from which the score stays at or above
    the threshold to the end. Both are None if the last score is below it. A layer that has
    settled by the first checkpoint did so between the start of training and that checkpoint, so
    low is 0.
    """

    low: int | None
    high: int | None


def settles(steps: Sequence[int], scores: npt.ArrayLike, threshold: float) -> Bracket:
    """The first checkpoint from which the score stays >= threshold to the end, as a bracket.

    steps: ascending; scores: one per step; NaN counts as below the threshold.
    Raises ValueError if the lengths differ, there are none, or steps do not ascend.
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
