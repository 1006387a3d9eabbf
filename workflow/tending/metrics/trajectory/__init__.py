"""Quantities of many representations of the same sequences, one file each, found by name.

The representations are those of one layer at all steps, or of all layers at one step. A file
declares `METRIC` and two literals: `OVER`, which of the two it is computed over, `steps` or
`layers`; and `TABLED`, whether it has rows in the table `trajectory`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tending.metrics.similarity import Array, Matrix, UndefinedSimilarityError, centred
from tending.metrics.trajectory import _pairs
from tending.metrics.trajectory._inner import BUDGET, Measured

STEPS, LAYERS = "steps", "layers"


class Stack:
    """m representations of the same n sequences, read when they are needed.

    read: (i) -> the activations (n, d_i) of representation i = 0, 1, ..., m - 1. They are held
    if they fit BUDGET bytes in float64, otherwise read again. directions: how many leading
    singular directions a subspace has. rows_per_sequence: neighbouring rows that belong to one
    sequence.
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
        self.undefined: dict[int, str] = {}  # why a representation has no similarity to any
        self._read = read
        self._held: dict[int, Matrix] = {}
        self._free = BUDGET
        self._cka: dict[str, Matrix] = {}

    def unit(self, i: int) -> Matrix:
        """Activations with centred columns, (n, d_i), in float64 and of Frobenius norm 1.

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
        """`cka` and `cka_debiased` of every pair, (m, m) each; NaN where one is not defined.

        With each, named after it: `_standard_error`, `_low` and `_high`, its 95 % interval over
        sequences, and `_null_mean` and `_null_high`, mean and 95 % quantile after permuting the
        sequences of one side. Raises ValueError if row counts differ or are below 4.
        """
        if not self._cka:
            self._cka = _pairs.cka(self.unit, self.count, self.rows_per_sequence)
        return self._cka


class Tabled(NamedTuple):
    """A quantity of the table, (layers, m), and the ends of its interval where it has them."""

    value: Matrix
    low: Matrix | None = None
    high: Matrix | None = None

    @classmethod
    def of_score(cls, name: str, parts: Sequence[Matrix]) -> "dict[str, Tabled]":
        """The rows of a score: itself, its error and its null, by quantity. parts: as in PARTS."""
        value, error, low, high, null_mean, null_high = parts
        return {
            name: cls(value, low, high),
            f"{name}_standard_error": cls(error),
            f"{name}_null": cls(null_mean, high=null_high),
        }


@dataclass(frozen=True)
class TrajectoryMetric:
    """A quantity of m representations.

    compute: a stack -> arrays by the name of what is measured; every axis has length m.
    label: as a reader calls it. bounds: closed range of the values; None: no end.
    invariant_to: changes of a representation that leave the values as they are, as of a
    `Similarity`. source: where it is defined.
    rows: (what was computed, each with a first axis of layers; progress of the m steps; index of
    the reference step) -> by quantity of the table. None if it is not tabled.
    """

    compute: Callable[[Stack], Measured]
    label: str
    bounds: tuple[float | None, float | None]
    invariant_to: frozenset[str]
    source: str
    rows: Callable[[Measured, Matrix, int], dict[str, Tabled]] | None = None
