"""Gram matrices of many representations and their inner products, in bounded memory."""

from collections.abc import Callable, Iterator

import numpy as np

from tending.metrics.similarity import Matrix

BUDGET = 2**30  # bytes for the tiles of Gram matrices, and as many for held representations
SIDE = 256  # of a tile that is worked on at a time

Measured = dict[str, Matrix]
Read = Callable[[int], Matrix]


def gram_tiles(
    read: Read, count: int, n: int, *, held: bool
) -> Iterator[tuple[slice, slice, Matrix]]:
    """K_i[a, b] of the Gram matrices K_i = X_i X_i' of all, (m, |a|, |b|), for tiles a, b.

    read: (i) -> X_i, (n, d_i), for i = 0, ..., m - 1. Tiles are on the diagonal and above it: one
    off the diagonal stands for its mirror image too. held: whether to read costs nothing; if not,
    as many tiles are made of one reading as BUDGET allows.
    """
    most = max(1, int((BUDGET // (8 * count)) ** 0.5))
    small = min(SIDE, most)
    for rows, columns in tiles(n, small if held else most):
        made = np.empty((count, rows.stop - rows.start, columns.stop - columns.start))
        for i in range(count):
            x = read(i)
            made[i] = x[rows] @ x[columns].T
        for a, b in _parts(made.shape[1], made.shape[2], small, same=rows == columns):
            yield _moved(a, rows.start), _moved(b, columns.start), made[:, a, b]


def of_grams(grams: Matrix) -> Iterator[tuple[slice, slice, Matrix]]:
    """The same tiles of Gram matrices that are at hand, (m, n, n)."""
    for a, b in tiles(grams.shape[1], SIDE):
        yield a, b, grams[:, a, b]


def tiles(n: int, side: int) -> Iterator[tuple[slice, slice]]:
    """The tiles of an (n, n) matrix on its diagonal and above."""
    blocks = _blocks(n, side)
    for i, a in enumerate(blocks):
        for b in blocks[i:]:
            yield a, b


def _parts(height: int, width: int, side: int, *, same: bool) -> Iterator[tuple[slice, slice]]:
    """Smaller tiles of a tile; of one on the diagonal, those on and above the diagonal."""
    if same:
        yield from tiles(height, side)
        return
    for a in _blocks(height, side):
        for b in _blocks(width, side):
            yield a, b


def _blocks(n: int, side: int) -> list[slice]:
    return [slice(start, min(start + side, n)) for start in range(0, n, side)]


def _moved(part: slice, start: int) -> slice:
    return slice(part.start + start, part.stop + start)


def feature_space(read: Read, count: int) -> Matrix:
    """<K_i, K_j>_F = ||X_i' X_j||_F^2 of all pairs, (m, m), from products of features."""
    inner = np.zeros((count, count))
    for i in range(count):
        x = read(i)
        for j in range(i, count):
            cross = x.T @ read(j)
            inner[i, j] = inner[j, i] = np.vdot(cross, cross)
    return inner
