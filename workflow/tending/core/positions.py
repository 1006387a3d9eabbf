"""Probed token positions of every sequence: `extraction.position` of a study."""

from collections.abc import Sequence
from itertools import pairwise

Position = str | int | Sequence[int]  # "last", "all", an index, or several (negative from the end)


def indices(position: Position, length: int) -> list[int]:
    """Return the probed positions of a sequence of `length` tokens, ascending from 0.

    Raises ValueError if the sequence has no such position, or if one is named twice.
    """
    if position == "all":
        return list(range(length))
    named = _named(position, length)
    for index in named:
        if not -length <= index < length:
            raise ValueError(
                f"position {index} is outside sequences of {length} tokens "
                f"(see `extraction.position`)"
            )
    found = sorted(index % length for index in named)
    twice = next((a for a, b in pairwise(found) if a == b), None)
    if twice is not None:
        raise ValueError(
            f"position {twice} of {length} tokens is named twice in {list(named)} "
            f"(see `extraction.position`)"
        )
    return found


def count(position: Position, length: int | None) -> int | None:
    """Count the probed positions of a sequence; None if that needs a length not known yet."""
    if position == "all":
        return length
    return 1 if isinstance(position, int | str) else len(position)


def recorded(position: Position) -> str:
    """Format the position for files and captions: `last`, `all`, `-2` or `[15, 31]`."""
    return str(position if isinstance(position, int | str) else list(position))


def _named(position: Position, length: int) -> Sequence[int]:
    if isinstance(position, str):
        return [length - 1 if position == "last" else int(position)]
    return [position] if isinstance(position, int) else list(position)
