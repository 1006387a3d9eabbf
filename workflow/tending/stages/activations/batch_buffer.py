"""Small batches of rows, handed on a few at a time: a file is written in larger pieces."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

BYTES = 2**24  # at most, that are held back

Array = npt.NDArray[Any]


class Sink(Protocol):
    """Takes what is captured, batch by batch: a file's writer, or memory."""

    def append(self, name: str, rows: Array, published: bool = False) -> None:
        """Further rows of an array, along its last axis but one; of a vector, further values."""


class Gathering:
    """Holds rows back until there are BYTES of them; `flush` hands on the rest."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self._bytes = sink, 0
        self._held: dict[tuple[str, bool], list[Array]] = {}

    def append(self, name: str, rows: Array, published: bool = False) -> None:
        """As a sink's."""
        self._held.setdefault((name, published), []).append(rows)
        self._bytes += rows.nbytes

    def end_of_batch(self) -> None:
        """Hand on what is held if it is enough; all arrays then have as many rows."""
        if self._bytes >= BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand on everything."""
        while self._held:  # each is let go before the next is joined
            name, published = first = next(iter(self._held))
            parts = self._held.pop(first)
            self._sink.append(name, joined(parts), published)
            del parts
        self._bytes = 0


def joined(parts: list[Array]) -> Array:
    """One array of them, along the rows; without a copy if there is one alone."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=max(parts[0].ndim - 2, 0))
