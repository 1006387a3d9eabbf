"""Sums of products of the kernels of every two representations, by rows and by pairs of rows.

The total over rows is the inner product of two kernels; the sums by row also give the inner product
without each row, at no additional multiplications.
"""

import numpy as np

from tending.core.arrays import Matrix
from tending.metrics.trajectory._inner import Read

ROWS = 128  # rows of all kernels processed at a time
NUMBERS = 2**17  # entries of a tile processed at a time: 1 MiB, which fits in the cache


class RowSums:
    """Sums by row for pairs of kernels (i, j) with i in `first` and j >= i; (n, pairs) each.

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
        """Return the slice of pairs of kernel i with itself and all later ones."""
        first, after = np.searchsorted(self._i, [i, i + 1])
        return slice(int(first), int(after))

    def add(self, a: slice, b: slice, tile: Matrix) -> None:
        """Add K_i[a, b] of all kernels, (m, |a|, |b|); off the diagonal, also K_i[b, a]."""
        self._add_rows(a, b, np.ascontiguousarray(tile.transpose(1, 0, 2)))
        if a != b:
            self._add_rows(b, a, np.ascontiguousarray(tile.transpose(2, 0, 1)))

    def add_grams(self, grams: Matrix) -> None:
        """Add all rows of Gram matrices that are in memory, (m, n, n), as views."""
        everything = slice(0, grams.shape[1])
        for start in range(0, everything.stop, ROWS):
            rows = slice(start, min(start + ROWS, everything.stop))
            self._add_rows(rows, everything, grams[:, rows].transpose(1, 0, 2))

    def _add_rows(self, rows: slice, columns: slice, by_row: Matrix) -> None:
        """Add parts of rows. by_row: (rows, m, columns)."""
        products = by_row[:, self.first] @ by_row.transpose(0, 2, 1)
        self.products[rows] += products[:, self._i - self.first.start, self._j]
        ends = by_row @ self._diagonals[columns]
        self.ends[rows] += ends[:, self._i, self._j] + ends[:, self._j, self._i]

    def add_features(self, read: Read) -> None:
        """Add all rows from d x d products, which is cheaper for many more rows than dimensions."""
        for i in range(self.first.start, self.first.stop):
            x = read(i)
            ends = x @ (x.T @ self._diagonals[:, i:])
            for pair, j in enumerate(range(i, self._diagonals.shape[1]), start=self.of(i).start):
                y = read(j)
                self.products[:, pair] = np.einsum("nd,nd->n", x @ (x.T @ y), y)
                self.ends[:, pair] = ends[:, j - i] + y @ (y.T @ self._diagonals[:, i])


class PairSums:
    """Sums of powers of V_i = K_i + u_i 1' + 1 u_i' over pairs of different rows, (m, m) each.

    products: V_i V_j; squares: V_i^2 V_j^2; cubes: V_i^3 V_j. effects: the u_i, (n, m).
    """

    def __init__(self, effects: Matrix) -> None:
        self.rows, count = effects.shape
        self._effects = effects.T
        self.products, self.squares, self.cubes = np.zeros((3, count, count))

    def add(self, a: slice, b: slice, tile: Matrix) -> None:
        """Add K_i[a, b] of all kernels, (m, |a|, |b|); off the diagonal, also K_i[b, a]."""
        across, weight = self._effects[:, None, b], 1 if a == b else 2
        step = max(1, NUMBERS // (len(tile) * tile.shape[2]))
        for start in range(0, tile.shape[1], step):
            part = tile[:, start : start + step]
            down = self._effects[:, a.start + start : a.start + start + part.shape[1], None]
            v = part + across
            v += down
            if a == b:
                here = np.arange(part.shape[1])
                v[:, here, start + here] = 0
            self._add_powers(v.reshape(len(v), -1), weight)

    def _add_powers(self, v: Matrix, weight: int) -> None:
        """Add powers of the entries v, (m, pairs of rows), each counted `weight` times."""
        power = v * v
        self.products += weight * (v @ v.T)
        self.squares += weight * (power @ power.T)
        power *= v
        self.cubes += weight * (power @ v.T)
