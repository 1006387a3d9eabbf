"""Metrics of two activation matrices, one file each; the file's name is the metric's name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Array, Matrix

Indices = npt.NDArray[np.intp]


class UndefinedSimilarityError(ValueError):
    """Raised where a similarity is undefined, e.g. because a representation is constant."""


class Rows(Protocol):
    """A representation too tall for memory, read in blocks of rows as often as needed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, width)."""

    def blocks(self) -> Iterator[Array]:
        """Yield all rows in order, in consecutive blocks of any size; each call restarts."""


@dataclass(frozen=True)
class Null:
    """Mean and 95 % quantile of a score after permuting the rows of one side."""

    mean: float
    high: float


@dataclass(frozen=True)
class Influence:
    """A score, the influence of every row on it and, where known, its null distribution.

    values: (n,) jackknife deviations, approximately score - score without row i; their sum of
    squares is the jackknife variance. NaN where the score without a row is undefined. excess: the
    part of that sum that is counted twice, because a pair of rows enters the deviations of both.
    null: over all permutations of the rows of one side.
    """

    score: float
    values: Matrix
    excess: float = 0.0
    null: Null | None = None


@dataclass(frozen=True)
class Similarity:
    """A similarity of two representations and the laws it obeys.

    compare: (x, y), of shapes (sequences, d_x) and (sequences, d_y) -> float.
    bounds: closed range of the values; None where unbounded.
    invariant_to: changes of either side that leave the value unchanged, among `rotation`,
    `scaling` and `translation`.
    least: fewest sequences; with fewer, compare raises ValueError.
    influence: (x, y) -> influence of every row on the score. If None, or with fewer than `tall`
    rows per column, a delete-a-group jackknife is used instead.
    permuted: (x, y) -> a function that maps an order of the rows of y, (n,), to the score with
    y[order] and computes everything independent of the order once; None: compare is called.
    streams: whether compare and influence also accept `Rows`.
    prepare, of_prepared: influence in two steps; the result of the first is computed once for all
    metrics that share it, see `Prepared`.
    """

    compare: Callable[[Any, Any], float]
    label: str
    bounds: tuple[float | None, float | None]
    invariant_to: frozenset[str]
    symmetric: bool = True
    least: int = 2
    influence: Callable[[Any, Any], Influence] | None = None
    tall: int = 0
    permuted: Callable[[Array, Array], Callable[[Indices], float]] | None = None
    streams: bool = False
    prepare: Callable[[Any, Any], Any] | None = None
    of_prepared: Callable[[Any], Influence] | None = None

    @property
    def any_coordinates(self) -> bool:
        """Whether the inner products of sequences, which are all that is stored for heads, suffice.

        A metric that is invariant to rotation must also be unaffected by columns of zeros.
        """
        return "rotation" in self.invariant_to


class Prepared:
    """Computations on two representations x and y that several metrics share, each done once."""

    def __init__(self, x: Any, y: Any) -> None:
        self._sides = x, y
        self._made: dict[Callable[[Any, Any], Any], Any] = {}

    def influence(self, metric: Similarity) -> Influence:
        """Return the metric's influence for x and y."""
        if metric.prepare is None or metric.of_prepared is None:
            assert metric.influence is not None
            return metric.influence(*self._sides)
        if metric.prepare not in self._made:
            self._made[metric.prepare] = metric.prepare(*self._sides)
        return metric.of_prepared(self._made[metric.prepare])


def centred(x: Array) -> Matrix:
    """Convert x to float64 and subtract the mean of every column.

    x: (sequences, d). Raises ValueError for another shape or values that are not finite, and
    UndefinedSimilarityError if every sequence has the same activations.
    """
    if x.ndim != 2:
        raise ValueError(f"expected a (sequences, d) matrix, got shape {x.shape}")
    # A mean over float32 rows of a large common offset would lose the variation around it.
    x = x.astype(np.float64)
    size = np.linalg.norm(x)
    if not np.isfinite(size) and not np.isfinite(x).all():  # the norm alone decides most cases
        raise ValueError("activations must be finite; found NaN or infinity")
    x -= x.mean(axis=0)
    if np.linalg.norm(x) <= np.finfo(np.float64).eps * np.sqrt(x.shape[0]) * size:
        raise UndefinedSimilarityError("the representation is constant over sequences")
    return x


def paired(x: Array, y: Array, least: int) -> tuple[Matrix, Matrix]:
    """Centre both sides; ValueError if their rows do not match or are fewer than `least`."""
    require_pairs(x.shape[0], y.shape[0], least)
    return centred(x), centred(y)


def require_pairs(rows_x: int, rows_y: int, least: int) -> None:
    """Raise ValueError if two numbers of rows differ or are below `least`."""
    if rows_x != rows_y:
        raise ValueError(
            f"{rows_x} sequences on one side, {rows_y} on the other; "
            f"row i of both must be the same sequence"
        )
    if rows_x < least:
        raise ValueError(f"{rows_x} sequences; this similarity needs at least {least}")
