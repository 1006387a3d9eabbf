"""Inner products of the Gram matrices of many representations, in bounded memory."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from tending.metrics.similarity import Matrix

BUDGET = 2**30  # bytes for the tiles of Gram matrices, and as many for held representations
SIDE = 256  # of a tile where representations are held: tiles below the diagonal are not needed

Measured = dict[str, Matrix]
Read = Callable[[int], Matrix]


def gram_products(read: Read, count: int) -> tuple[Matrix, Matrix]:
    """<X_i X_i', X_j X_j'>_F of all pairs, (m, m), and the diagonals of the X_i X_i', (m, n).

    read: (i) -> X_i, (n, d_i), for i = 0, ..., m - 1. With the Gram matrices as the rows of G,
    the first is G G'. Raises ValueError if row counts differ.
    """
    diagonals, width, size = [], 0, 0
    for i in range(count):
        x = read(i)
        diagonals.append(np.einsum("nd,nd->n", x, x))
        width, size = max(width, x.shape[1]), size + x.nbytes
        if diagonals[i].size != diagonals[0].size:
            raise ValueError(
                f"{diagonals[i].size} sequences in one representation, {diagonals[0].size} in "
                f"another; row i of all must be the same sequence"
            )
    n = diagonals[0].size
    # multiplications: m n^2 d + m^2 n^2 with Gram matrices, m^2 n d^2 with cross products
    if n * (width + count) > count * width**2:
        return feature_space(read, count), np.stack(diagonals)
    side = max(1, math.isqrt(BUDGET // (8 * count)))
    side = min(side, SIDE) if size <= BUDGET else side
    return example_space(read, count, n, side), np.stack(diagonals)


def example_space(read: Read, count: int, n: int, side: int) -> Matrix:
    """G G' for the Gram matrices as rows of G, (m, n^2), of which one tile is held at a time.

    side: of a tile. Off the diagonal a tile stands for its mirror image too.
    """
    inner = np.zeros((count, count))
    for a, b in _tiles(n, side):
        tile = np.empty((count, (a.stop - a.start) * (b.stop - b.start)))
        for i in range(count):
            x = read(i)
            tile[i] = (x[a] @ x[b].T).ravel()
        inner += (1 if a == b else 2) * (tile @ tile.T)
    return inner


def feature_space(read: Read, count: int) -> Matrix:
    """||X_i' X_j||_F^2 of all pairs: less work where sequences are many more than dimensions."""
    inner = np.zeros((count, count))
    for i in range(count):
        x = read(i)
        for j in range(i, count):
            cross = x.T @ read(j)
            inner[i, j] = inner[j, i] = np.vdot(cross, cross)
    return inner


def _tiles(n: int, side: int) -> Iterator[tuple[slice, slice]]:
    """The tiles of an (n, n) matrix on its diagonal and above."""
    blocks = [slice(start, min(start + side, n)) for start in range(0, n, side)]
    for i, a in enumerate(blocks):
        for b in blocks[i:]:
            yield a, b
