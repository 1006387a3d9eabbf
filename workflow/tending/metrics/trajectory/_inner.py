"""Gram matrices of many representations and their inner products, in bounded memory."""

from collections.abc import Callable, Iterator

import numpy as np

from tending.core.arrays import Matrix

BUDGET = 2**30  # bytes for the tiles of Gram matrices, and as many for cached representations
SIDE = 256  # of the tiles that are processed one at a time

Measured = dict[str, Matrix]
Read = Callable[[int], Matrix]


def gram_tiles(
    read: Read, count: int, n: int, *, held: bool
) -> Iterator[tuple[slice, slice, Matrix]]:
    """Yield tiles a, b with K_i[a, b], (m, |a|, |b|), of all Gram matrices K_i = X_i X_i'.

    read: (i) -> X_i, (n, d_i), for i = 0, ..., m - 1. Only tiles on and above the diagonal are
    yielded; one above it also represents its mirror image. held: whether the X_i are cached; if
    not, each reading serves as many tiles as BUDGET allows.
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
    """Yield the same tiles of Gram matrices that are in memory, (m, n, n)."""
    for a, b in tiles(grams.shape[1], SIDE):
        yield a, b, grams[:, a, b]


def tiles(n: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Yield the tiles of an (n, n) matrix on and above its diagonal."""
    blocks = _blocks(n, side)
    for i, a in enumerate(blocks):
        for b in blocks[i:]:
            yield a, b


def _parts(height: int, width: int, side: int, *, same: bool) -> Iterator[tuple[slice, slice]]:
    """Split a tile into smaller ones; one on the diagonal into those on and above the diagonal."""
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
    """Compute <K_i, K_j>_F = ||X_i' X_j||_F^2 of all pairs, (m, m), from feature products."""
    inner = np.zeros((count, count))
    for i in range(count):
        x = read(i)
        for j in range(i, count):
            cross = x.T @ read(j)
            inner[i, j] = inner[j, i] = np.vdot(cross, cross)
    return inner
