"""Linear kernels of many representations: the sums over each one that errors and nulls need."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from tending.core.arrays import Matrix
from tending.metrics.similarity import Indices
from tending.metrics.similarity._moments import SAMPLE, Side, side_motifs
from tending.metrics.similarity._permutations import LEAST, Motifs, nulls
from tending.metrics.trajectory._inner import Read

ROWS = 4  # fewest


@dataclass(frozen=True)
class Kernels:
    """Sums over m kernels K_i = X_i X_i', (n, n), of representations with centred columns.

    diagonals; squares: sum_s K_i[r, s]^2; ends: K_i times its diagonal; all (n, m). motifs: sums
    over their U-centred parts. width: width of the widest representation; size: bytes of all
    representations. grams: the kernels themselves, (m, n, n), if they are kept.
    """

    diagonals: Matrix
    squares: Matrix
    ends: Matrix
    motifs: tuple[Motifs, ...]
    width: int
    size: int
    grams: Matrix | None = None

    @property
    def n(self) -> int:
        """Number of rows of each representation."""
        return len(self.diagonals)

    @property
    def count(self) -> int:
        """Number of kernels, m."""
        return len(self.motifs)


def kernels(read: Read, count: int, most: int = 0) -> Kernels:
    """Compute the sums for representations read(i), (n, d_i), i = 0, ..., m - 1, read once each.

    most: bytes up to which the kernels are kept, provided that all of them are formed anyway.
    Raises ValueError if row counts differ or are below 4.
    """
    columns, motifs, width, size = list[tuple[Matrix, ...]](), [], 0, 0
    grams: Matrix | None = None
    for i in range(count):
        x = read(i)
        if len(x) < ROWS:
            raise ValueError(f"{len(x)} sequences; debiased CKA needs at least {ROWS}")
        if columns and len(x) != len(columns[0][0]):
            raise ValueError(
                f"{len(x)} sequences in one representation, {len(columns[0][0])} in another; "
                f"row i of all must be the same sequence"
            )
        rows = sample(*x.shape)
        side = _side(x, rows)
        if i == 0 and 8 * count * len(x) ** 2 <= most:
            grams = np.empty((count, len(x), len(x)))
        if grams is not None and len(rows) == len(x):
            grams[i] = side.part
        else:
            grams = None
        columns.append((side.diagonal, side.squares, side.own))
        motifs.append(side_motifs(side, rows))
        width, size = max(width, x.shape[1]), size + x.nbytes
    diagonals, squares, ends = (np.stack(c, axis=1) for c in zip(*columns, strict=True))
    return Kernels(diagonals, squares, ends, tuple(motifs), width, size, grams)


def sample(n: int, width: int) -> Indices:
    """Choose rows whose pairs represent all pairs: all rows where n is at most twice the width.

    The same rows as where a single pair of representations is compared.
    """
    if n <= 2 * width:
        return np.arange(n)
    return np.sort(np.random.default_rng(n).permutation(n)[: max(SAMPLE, width)])


def _side(x: Matrix, rows: Indices) -> Side:
    """Compute the sums of one kernel and its part between `rows`, in the cheaper space."""
    diagonal = np.einsum("nd,nd->n", x, x)
    if len(rows) == len(x):
        k = x @ x.T
        ends = k @ diagonal
        return Side(diagonal, np.einsum("rs,rs->r", k, k), ends, ends, k, k)
    products, ends = x.T @ x, x @ (x.T @ diagonal)
    squares = np.einsum("nd,nd->n", x @ products, x)
    return Side(diagonal, squares, ends, ends, x[rows] @ x[rows].T, products)


def by_chance(known: Kernels, norms: Matrix, weight: float, means: Matrix) -> tuple[Matrix, Matrix]:
    """Compute mean and 95 % quantile of each pair's score after permuting one side, (m, m) each.

    norms: (m,), the score of a pair is divided by both. weight: factor of the product of the row
    effects. means: (m,), whose products over n - 1 are the means before the division. NaN where a
    norm is NaN, and everywhere with fewer rows than the third moment needs.
    """
    scale = np.outer(norms, norms)
    if known.n < LEAST:
        return np.full_like(scale, np.nan), np.full_like(scale, np.nan)
    x, y = _together(known.motifs, (-1, 1)), _together(known.motifs, (1, -1))
    return nulls(known.n, x, y, weight, np.outer(means, means) / (known.n - 1), scale)


def _together(each: Sequence[Motifs], shape: tuple[int, int]) -> Motifs:
    """Stack the sums of several kernels into arrays of the given shape."""
    names = [field.name for field in fields(Motifs)]
    return Motifs(*(np.array([getattr(m, name) for m in each]).reshape(shape) for name in names))
