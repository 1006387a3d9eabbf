"""Quantities of many representations of the same sequences, one file each, found by name.

The representations are those of one layer at all steps, or of all layers at one step. Each file
declares `METRIC` and two literals: `OVER`, either `steps` or `layers`, which of these it is
computed over; and `TABLED`, whether it has rows in the table `trajectory`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import UndefinedSimilarityError, centred
from tending.metrics.trajectory import _pairs
from tending.metrics.trajectory._inner import BUDGET, Measured

STEPS, LAYERS = "steps", "layers"


class Stack:
    """m representations of the same n sequences, read on demand.

    read: (i) -> the activations (n, d_i) of representation i = 0, 1, ..., m - 1. They are cached
    as long as they fit in BUDGET bytes in float64, otherwise read again. directions: number of
    leading singular directions of a subspace. rows_per_sequence: consecutive rows that belong to
    one sequence.
    """

    def __init__(
        self,
        read: Callable[[int], Array],
        count: int,
        directions: int,
        rows_per_sequence: int = 1,
    ) -> None:
        self.count = count
        self.directions = directions
        self.rows_per_sequence = rows_per_sequence
        self.undefined: dict[int, str] = {}  # reason why a representation has none
        self._read = read
        self._held: dict[int, Matrix] = {}
        self._free = BUDGET
        self._cka: dict[str, Matrix] = {}

    def unit(self, i: int) -> Matrix:
        """Return activations with centred columns, (n, d_i), in float64 and of Frobenius norm 1.

        All zeros where they are the same for every sequence. Raises ValueError if they are not
        finite.
        """
        if i in self._held:
            return self._held[i]
        x = self._read(i)
        try:
            unit = centred(x)
            unit = np.asarray(unit / np.linalg.norm(unit))
        except UndefinedSimilarityError as error:
            self.undefined[i] = str(error)
            unit = np.zeros(x.shape)
        if unit.nbytes <= self._free:
            self._held[i] = unit
            self._free -= unit.nbytes
        return unit

    @property
    def cka(self) -> dict[str, Matrix]:
        """`cka` and `cka_debiased` of every pair, (m, m) each; NaN where undefined.

        Each comes with entries whose names add a suffix: `_standard_error`; `_low` and `_high`, its
        95 % interval over sequences; `_null_mean` and `_null_high`, mean and 95 % quantile after
        permuting the sequences of one side. Raises ValueError if row counts differ or are below 4.
        """
        if not self._cka:
            self._cka = _pairs.cka(self.unit, self.count, self.rows_per_sequence)
        return self._cka


class Tabled(NamedTuple):
    """A quantity of the table, (layers, m), and the ends of its interval where it has one."""

    value: Matrix
    low: Matrix | None = None
    high: Matrix | None = None

    @classmethod
    def of_score(cls, name: str, parts: Sequence[Matrix]) -> "dict[str, Tabled]":
        """Return a score, its error and its null by quantity. parts: in the order of PARTS."""
        value, error, low, high, null_mean, null_high = parts
        return {
            name: cls(value, low, high),
            f"{name}_standard_error": cls(error),
            f"{name}_null": cls(null_mean, high=null_high),
        }


@dataclass(frozen=True)
class TrajectoryMetric:
    """A quantity of m representations.

    compute: a stack -> arrays by name; every axis has length m.
    label: name for the reader. bounds: closed range of the values; None where unbounded.
    invariant_to: changes of a representation that leave the values unchanged, as for a
    `Similarity`. source: where it is defined.
    rows: (results of compute, stacked along a first axis of layers; progress of the m steps; index
    of the reference step) -> `Tabled` by quantity of the table. None if it is not tabled.
    """

    compute: Callable[[Stack], Measured]
    label: str
    bounds: tuple[float | None, float | None]
    invariant_to: frozenset[str]
    source: str
    rows: Callable[[Measured, Matrix, int], dict[str, Tabled]] | None = None
