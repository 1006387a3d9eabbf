"""Buffering of small batches of rows, so that files are written in larger pieces."""

from typing import Protocol

import numpy as np

from tending.core.arrays import Array

BYTES = 2**24  # buffered before they are passed on


class Sink(Protocol):
    """Receiver of captured rows, batch by batch: a file's writer, or memory."""

    def append(self, name: str, rows: Array, published: bool = False) -> None:
        """Append rows to an array along its second-to-last axis, or values to a vector."""


class Gathering:
    """A buffer that passes rows on once it has BYTES of them; `flush` passes on the rest."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self._bytes = sink, 0
        self._held: dict[tuple[str, bool], list[Array]] = {}

    def append(self, name: str, rows: Array, published: bool = False) -> None:
        """Add rows to the buffer, as to a sink."""
        self._held.setdefault((name, published), []).append(rows)
        self._bytes += rows.nbytes

    def end_of_batch(self) -> None:
        """Flush if the buffer is full; at this point all arrays have equally many rows."""
        if self._bytes >= BYTES:
            self.flush()

    def flush(self) -> None:
        """Pass on all buffered rows."""
        while self._held:  # each array is freed before the next is joined
            name, published = first = next(iter(self._held))
            parts = self._held.pop(first)
            self._sink.append(name, joined(parts), published)
            del parts
        self._bytes = 0


def joined(parts: list[Array]) -> Array:
    """Concatenate parts along the rows; without a copy if there is only one."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=max(parts[0].ndim - 2, 0))
