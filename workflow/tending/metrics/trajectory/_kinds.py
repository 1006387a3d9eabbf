"""Biased and debiased CKA of many pairs at once: inner products of kernels, also without rows."""

from typing import NamedTuple, Protocol

import numpy as np

from tending.core.arrays import Matrix
from tending.metrics.similarity.cka_debiased import ROUNDING
from tending.metrics.trajectory._kernels import Kernels, by_chance


class Sums(NamedTuple):
    """Sums over kernels K and L by row, all (n, ...).

    products: sum_s K_rs L_rs; k and other: the diagonals k and l; ends: K l + L k.
    """

    products: Matrix
    k: Matrix
    other: Matrix
    ends: Matrix


class Kind(Protocol):
    """A kind of CKA: the inner product of two kernels over the norms of both."""

    name: str
    bounds: tuple[float | None, float]

    def inner(self, sums: Sums) -> Matrix:
        """Compute inner products, (...)."""

    def without(self, sums: Sums) -> Matrix:
        """Compute inner products without each row, (n, ...)."""

    def squares(self, known: Kernels) -> Matrix:
        """Compute squared norms, (m,); NaN where there is no variation."""

    def effects(self, diagonals: Matrix) -> Matrix:
        """Compute the row effects that centring adds to kernels off the diagonal, (n, m)."""

    def chance(self, known: Kernels, norms: Matrix) -> tuple[Matrix, Matrix]:
        """Compute mean and 95 % quantile after permuting one side, (m, m) each."""


class Biased:
    """CKA of kernels as they are, whose rows sum to 0."""

    name: str = "cka"
    bounds: tuple[float | None, float] = (0.0, 1.0)

    def inner(self, sums: Sums) -> Matrix:
        """Compute inner products, (...)."""
        return np.asarray(sums.products.sum(axis=0))

    def without(self, sums: Sums) -> Matrix:
        """Compute inner products of kernels re-centred without each row, (n, ...)."""
        a = len(sums.k) / (len(sums.k) - 1)
        return np.asarray(self.inner(sums) - 2 * a * sums.products + a * a * sums.k * sums.other)

    def squares(self, known: Kernels) -> Matrix:
        """Compute squared norms, (m,), which are 0 only if all rows are equal; then NaN."""
        return _above(known.squares.sum(axis=0), 0.0)

    def effects(self, diagonals: Matrix) -> Matrix:
        """Return zeros, (n, m): the kernels are centred already."""
        return np.zeros_like(diagonals)

    def chance(self, known: Kernels, norms: Matrix) -> tuple[Matrix, Matrix]:
        """Compute the null, (m, m) each; row effects of the diagonals contribute to it."""
        weight = known.n / (known.n - 2)
        return by_chance(known, norms, weight, means=known.diagonals.sum(axis=0))


class Debiased:
    """CKA of U-centred kernels. Without its diagonal k, the rows of K sum to -k."""

    name: str = "cka_debiased"
    bounds: tuple[float | None, float] = (None, 1.0)

    def inner(self, sums: Sums) -> Matrix:
        """Compute inner products, (...)."""
        n, both = len(sums.k), (sums.k * sums.other).sum(axis=0)
        total = sums.k.sum(axis=0) * sums.other.sum(axis=0) / ((n - 1) * (n - 2))
        return np.asarray(sums.products.sum(axis=0) - both * n / (n - 2) + total)

    def without(self, sums: Sums) -> Matrix:
        """Compute inner products without each row, (n, ...).

        Removing a row also removes its entries from the sums of all other rows.
        """
        n, both = len(sums.k), sums.k * sums.other
        entries = sums.products - both
        rows = both.sum(axis=0) - 3 * both + sums.ends + entries
        k, other = (2 * side - side.sum(axis=0) for side in (sums.k, sums.other))
        inner = entries.sum(axis=0) - 2 * entries
        return np.asarray(inner - 2 / (n - 3) * rows + k * other / ((n - 2) * (n - 3)))

    def squares(self, known: Kernels) -> Matrix:
        """Compute squared norms, (m,); NaN where they are 0 up to rounding.

        That is so if all rows are equal, if all are equidistant, or if all but one are equal.
        """
        whole, k = known.squares, known.diagonals
        return _above(self.inner(Sums(whole, k, k, whole)), ROUNDING * whole.sum(axis=0))

    def effects(self, diagonals: Matrix) -> Matrix:
        """Compute row effects, (n, m), that make the rows of K without its diagonal sum to 0."""
        n, total = len(diagonals), diagonals.sum(axis=0)
        return np.asarray((diagonals - total / (2 * (n - 1))) / (n - 2))

    def chance(self, known: Kernels, norms: Matrix) -> tuple[Matrix, Matrix]:
        """Compute the null, (m, m) each, whose mean is 0."""
        return by_chance(known, norms, 0, means=np.zeros(known.count))


def _above(squares: Matrix, least: Matrix | float) -> Matrix:
    return np.where(squares > least, squares, np.nan)
