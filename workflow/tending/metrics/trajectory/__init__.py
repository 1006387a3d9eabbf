"""Quantities of many representations of the same sequences, one file each, found by name.

The representations are those of one layer at all steps, or of all layers at one step. A file
declares `METRIC` and two literals: `OVER`, which of the two it is computed over, `steps` or
`layers`; and `TABLED`, whether it has rows in the table `trajectory`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tending.metrics.similarity import Array, Matrix, UndefinedSimilarityError, centred
from tending.metrics.similarity.cka_debiased import ROUNDING
from tending.metrics.trajectory._inner import BUDGET, Measured, gram_products

STEPS, LAYERS = "steps", "layers"


class Stack:
    """m representations of the same n sequences, read when they are needed.

    read: (i) -> the activations (n, d_i) of representation i = 0, 1, ..., m - 1. They are held
    if they fit BUDGET bytes in float64, otherwise read again. directions: how many leading
    singular directions a subspace has.
    """

    def __init__(self, read: Callable[[int], Array], count: int, directions: int) -> None:
        self.count = count
        self.directions = directions
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

        Both come from one matrix of inner products of Gram matrices (`gram_products`). U-centring
        takes away what only their diagonals k_i hold: n / (n - 2) k_i' k_j and, as sum k_i = 1,
        1 / ((n - 1) (n - 2)). Raises ValueError if row counts differ or are below 4.
        """
        if not self._cka:
            self._cka = _cka(*gram_products(self.unit, self.count))
        return self._cka


@dataclass(frozen=True)
class TrajectoryMetric:
    """A quantity of m representations.

    compute: a stack -> arrays by the name of what is measured; every axis has length m.
    label: as a reader calls it. bounds: closed range of the values; None: no end.
    invariant_to: changes of a representation that leave the values as they are, as of a
    `Similarity`. source: where it is defined.
    rows: (what was computed, each with a first axis of layers; progress of the m steps; index of
    the reference step) -> quantity of the table -> (layers, m). None if it is not tabled.
    """

    compute: Callable[[Stack], Measured]
    label: str
    bounds: tuple[float | None, float | None]
    invariant_to: frozenset[str]
    source: str
    rows: Callable[[Measured, Matrix, int], Measured] | None = None


def _cka(inner: Matrix, diagonals: Matrix) -> dict[str, Matrix]:
    """Biased and debiased CKA from what `gram_products` gives of units."""
    n = diagonals.shape[1]
    if n < 4:
        raise ValueError(f"{n} sequences; debiased CKA needs at least 4")
    total = diagonals.sum(axis=1)
    unbiased = inner - diagonals @ diagonals.T * (n / (n - 2))
    unbiased += np.outer(total, total) / ((n - 1) * (n - 2))
    squares = np.diagonal(unbiased).copy()
    squares[squares <= ROUNDING * np.diagonal(inner)] = 0
    return {
        "cka": _cosines(inner, np.diagonal(inner)),
        "cka_debiased": _cosines(unbiased, squares),
    }


def _cosines(inner: Matrix, squares: Matrix) -> Matrix:
    """inner, (m, m), over the norms whose squares are given, (m,); NaN where a norm is 0."""
    norms = np.sqrt(np.where(squares > 0, squares, math.nan))
    return np.asarray(inner / np.outer(norms, norms))
