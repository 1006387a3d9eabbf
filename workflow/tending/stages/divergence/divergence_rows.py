"""Rows of the table of divergences."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tending.core.tables import Columns, Where
from tending.metrics.statistics.means import student

Array = npt.NDArray[np.float64]


def blocks(place: Where, divergences: Mapping[str, Array]) -> list[Columns]:
    """Means with their 95 % intervals over sequences, and their standard errors.

    divergences: quantity -> (sequences, positions), nats. Positions of one sequence are not
    independent, so each sequence counts once, with its mean. A divergence is not negative, so
    an interval that would reach below 0 ends there. A single sequence has neither interval nor
    error.
    """
    found: list[Columns] = []
    for quantity, values in divergences.items():
        of_sequence = values.mean(axis=1)
        n = of_sequence.size
        mean = float(of_sequence.mean())
        error = float(of_sequence.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
        half = float(student(n - 1)) * error
        common = {**vars(place), "definition": "correct", "n": [n]}
        low = max(mean - half, min(mean, 0.0))
        found += [
            {**common, "quantity": quantity, "value": mean, "low": low, "high": mean + half},
            {**common, "quantity": f"{quantity}_standard_error", "value": error},
        ]
    return found
