"""Sums of products of the kernels of every two representations, by rows and by pairs of rows.

The sum over rows is the inner product of two kernels; the rows themselves tell what it would be
without each of them, for as many multiplications.
"""

import numpy as np

from tending.metrics.similarity import Matrix
from tending.metrics.trajectory._inner import Read


class RowSums:
    """Of the pairs of kernels (i, j), i in `first`, and j from i on; (n, pairs) each.

    products: sum_s K_i[r, s] K_j[r, s]; ends: K_i times the diagonal of K_j plus K_j times that of
    K_i. diagonals: (n, m).
    """

    def __init__(self, diagonals: Matrix, first: slice) -> None:
        n, count = diagonals.shape
        self.first, self._diagonals = first, diagonals
        here, there = np.triu_indices(count)
        mine = (here >= first.start) & (here < first.stop)
        self._i, self._j = here[mine], there[mine]
        self.products, self.ends = np.zeros((2, n, len(self._i)))

    def of(self, i: int) -> slice:
        """The pairs of kernel i with itself and all later ones."""
        first, after = np.searchsorted(self._i, [i, i + 1])
        return slice(int(first), int(after))

    def add(self, a: slice, b: slice, tile: Matrix) -> None:
        """K_i[a, b] of all kernels, (m, |a|, |b|); off the diagonal of K_i[b, a] too."""
        self._add_rows(a, b, np.ascontiguousarray(tile.transpose(1, 0, 2)))
        if a != b:
            self._add_rows(b, a, np.ascontiguousarray(tile.transpose(2, 0, 1)))

    def _add_rows(self, rows: slice, columns: slice, by_row: Matrix) -> None:
        """by_row: (rows, m, columns)."""
        products = by_row[:, self.first] @ by_row.transpose(0, 2, 1)
        self.products[rows] += products[:, self._i - self.first.start, self._j]
        ends = by_row @ self._diagonals[columns]
        self.ends[rows] += ends[:, self._i, self._j] + ends[:, self._j, self._i]

    def add_features(self, read: Read) -> None:
        """All rows from d x d products: less work where rows are many more than dimensions."""
        for i in range(self.first.start, self.first.stop):
            x = read(i)
            ends = x @ (x.T @ self._diagonals[:, i:])
            for pair, j in enumerate(range(i, self._diagonals.shape[1]), start=self.of(i).start):
                y = read(j)
                self.products[:, pair] = np.einsum("nd,nd->n", x @ (x.T @ y), y)
                self.ends[:, pair] = ends[:, j - i] + y @ (y.T @ self._diagonals[:, i])


class PairSums:
    """Of powers of V_i = K_i + u_i 1' + 1 u_i' over pairs of different rows, (m, m) each.

    products: V_i V_j; squares: V_i^2 V_j^2; cubes: V_i^3 V_j. effects: the u_i, (n, m).
    """

    def __init__(self, effects: Matrix) -> None:
        self.rows, count = effects.shape
        self._effects = effects.T
        self.products, self.squares, self.cubes = np.zeros((3, count, count))

    def add(self, a: slice, b: slice, tile: Matrix) -> None:
        """K_i[a, b] of all kernels, (m, |a|, |b|); off the diagonal of K_i[b, a] too."""
        v = tile + self._effects[:, a, None] + self._effects[:, None, b]
        weight = 2
        if a == b:
            weight, here = 1, np.arange(v.shape[1])
            v[:, here, here] = 0
        v = v.reshape(len(v), -1)
        power = v * v
        self.products += weight * (v @ v.T)
        self.squares += weight * (power @ power.T)
        power *= v
        self.cubes += weight * (power @ v.T)
