"""Rows of the table of divergences."""

from collections.abc import Mapping

from tending.core.arrays import Floats
from tending.core.tables import Columns, Where
from tending.metrics.statistics.means import with_error


def blocks(place: Where, divergences: Mapping[str, Floats]) -> list[Columns]:
    """Return mean divergences with 95 % intervals over sequences, and their standard errors.

    divergences: quantity -> (sequences, positions), nats. Positions of one sequence are not
    independent, so each sequence enters once, with its mean. A divergence is not negative, so
    intervals are clipped at 0. A single sequence has neither interval nor error.
    """
    found: list[Columns] = []
    for quantity, values in divergences.items():
        of_sequence = values.mean(axis=1)
        pooled, error = with_error(of_sequence)
        value, low, high = (float(end) for end in pooled)
        common = {**vars(place), "definition": "correct", "n": [of_sequence.size]}
        low = max(low, min(value, 0.0))
        found += [
            {**common, "quantity": quantity, "value": value, "low": low, "high": high},
            {**common, "quantity": f"{quantity}_standard_error", "value": float(error)},
        ]
    return found
