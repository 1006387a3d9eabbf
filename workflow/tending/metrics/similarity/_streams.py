"""Iteration over two representations, in memory or not, in aligned blocks of centred rows."""

from collections.abc import Iterator

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Rows, UndefinedSimilarityError, paired, require_pairs

Representation = Array | Rows


class Aligned:
    """Aligned rows of x and y in float64, centred and divided by a constant per side.

    The constant keeps products of products within range. Arrays form a single block; for `Rows`,
    one block of each side is in memory at a time. Raises as `paired` does.
    """

    def __init__(self, x: Representation, y: Representation, least: int) -> None:
        self._sides: tuple[Rows, Rows] | None = None
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
            self._whole = _scaled(*paired(x, y, least))
        elif x.shape[0] < max(x.shape[1], y.shape[1]):  # wider than tall, so small enough
            self._whole = _scaled(*paired(whole(x), whole(y), least))
        else:
            require_pairs(x.shape[0], y.shape[0], least)
            self._sides = as_rows(x), as_rows(y)
            self._means, self._scales = zip(*map(_mean_and_scale, self._sides), strict=True)
        self.n, self.widths = x.shape[0], (x.shape[1], y.shape[1])

    def whole(self) -> tuple[Matrix, Matrix]:
        """Return both sides, (n, d_x) and (n, d_y)."""
        if self._sides is None:
            return self._whole
        blocks = list(self.blocks())
        return np.concatenate([b[1] for b in blocks]), np.concatenate([b[2] for b in blocks])

    def blocks(self) -> Iterator[tuple[slice, Matrix, Matrix]]:
        """Yield slices of rows with both sides' values, (rows, d_x) and (rows, d_y)."""
        if self._sides is None:
            yield slice(0, self.n), *self._whole
            return
        start = 0
        for x, y in _side_by_side(*(side.blocks() for side in self._sides)):
            here, there = (
                (block.astype(np.float64) - mean) / scale
                for block, mean, scale in zip((x, y), self._means, self._scales, strict=True)
            )
            yield slice(start, start + len(x)), here, there
            start += len(x)


class _InMemory:
    def __init__(self, array: Array) -> None:
        self._array = array
        self.shape = array.shape

    def blocks(self) -> Iterator[Array]:
        yield self._array


def as_rows(x: Representation) -> Rows:
    """Wrap an array as a single block; pass `Rows` through."""
    return _InMemory(x) if isinstance(x, np.ndarray) else x


def whole(x: Representation) -> Array:
    """Return all rows in one array."""
    return x if isinstance(x, np.ndarray) else np.concatenate(list(x.blocks()))


def _scaled(x: Matrix, y: Matrix) -> tuple[Matrix, Matrix]:
    for side in (x, y):
        side /= max(side.max(), -side.min())
    return x, y


def _mean_and_scale(side: Rows) -> tuple[Matrix, float]:
    """Return column means, (d,), and the largest range of a column.

    Raises UndefinedSimilarityError if the range is 0 up to rounding.
    """
    total, squares, n = np.zeros(side.shape[1]), 0.0, side.shape[0]
    low, high = np.full(side.shape[1], np.inf), np.full(side.shape[1], -np.inf)
    for block in side.blocks():
        if not np.isfinite(block).all():
            raise ValueError("activations must be finite; found NaN or infinity")
        total += block.sum(axis=0, dtype=np.float64)
        squares += float(np.linalg.norm(block.astype(np.float64)) ** 2)
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    scale = float((high - low).max())
    if scale <= np.finfo(np.float64).eps * np.sqrt(squares):
        raise UndefinedSimilarityError("the representation is constant over sequences")
    return total / n, scale


def _side_by_side(x: Iterator[Array], y: Iterator[Array]) -> Iterator[tuple[Array, Array]]:
    """Yield aligned blocks of both sides, each as long as the shorter current block."""
    here, there = next(x, None), next(y, None)
    while here is not None and there is not None:
        taken = min(len(here), len(there))
        yield here[:taken], there[:taken]
        here = here[taken:] if len(here) > taken else next(x, None)
        there = there[taken:] if len(there) > taken else next(y, None)
