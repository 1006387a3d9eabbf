"""Metrics of one activation matrix, one file each; the file's name is the metric's name."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array, Matrix

GROUPS = 8  # disjoint groups of sequences, for the error of a metric without a closed form
STUDENT_95 = 2.364624251592785  # half-width of a 95 % interval with GROUPS - 1 degrees of freedom
NORMAL_95 = 1.959963984540054
LEAST_OF_GROUP = 8  # fewest sequences per group; with fewer there is no interval


class UndefinedRepresentationError(ValueError):
    """Raised where a metric is undefined, e.g. because all rows are the same point."""


class Measured(NamedTuple):
    """A value with its 95 % interval over sequences; NaN where it cannot be justified."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Representation:
    """A metric of one representation and the laws it obeys.

    compute: (x, rows_per_sequence), x of shape (rows, d), rows ordered by sequence -> Measured. The
    rows of one sequence are not independent, so intervals are over sequences.
    bounds: closed range of the values; None where unbounded.
    invariant_to: changes that leave the value unchanged, among `rotation`, `scaling` and
    `translation`. `rotation` is required, because for heads only inner products are stored.
    least: fewest sequences; with fewer, compute raises ValueError.
    """

    compute: Callable[[Array, int], Measured]
    label: str
    bounds: tuple[float | None, float | None]
    invariant_to: frozenset[str]
    least: int


def checked(x: Array, rows_per_sequence: int, least: int) -> Matrix:
    """Return x in float64, (rows, d).

    Raises ValueError if it is not a matrix of whole sequences, has fewer than `least` sequences or
    is not finite.
    """
    if x.ndim != 2 or x.shape[0] % rows_per_sequence:
        raise ValueError(
            f"expected a (rows, d) matrix of {rows_per_sequence} rows a sequence, got {x.shape}"
        )
    if x.shape[0] // rows_per_sequence < least:
        raise ValueError(
            f"{x.shape[0] // rows_per_sequence} sequences; this metric needs at least {least}"
        )
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError("activations must be finite; found NaN or infinity")
    return x


def groups(rows: int, rows_per_sequence: int) -> npt.NDArray[np.intp] | None:
    """Assign each row a group, 0 to GROUPS - 1, at random by sequence; the same in every call.

    Returns None if a group would hold fewer than LEAST_OF_GROUP sequences.
    """
    sequences = rows // rows_per_sequence
    if sequences < GROUPS * LEAST_OF_GROUP:
        return None
    order = np.random.default_rng(sequences).permutation(np.arange(sequences) % GROUPS)
    return np.repeat(order, rows_per_sequence)


def interval(value: float, error: float, width: float = STUDENT_95) -> Measured:
    """Return the value with an interval of +- `width` standard errors; none if the error is NaN."""
    if not math.isfinite(value) or not math.isfinite(error):
        return Measured(value)
    return Measured(value, value - width * error, value + width * error)
