"""Requested steps of a study: numbers, ranges, and schedules by name."""

import re
from collections.abc import Sequence
from itertools import pairwise

Spec = int | str | Sequence[int | str]

_DOUBLING = (0, *(2**k for k in range(10)))  # 0, 1, 2, 4, ..., 512
NAMED = {
    "pythia": (*_DOUBLING, *range(1000, 143001, 1000)),  # all 154 of every Pythia model
    "paper": (*_DOUBLING, 1000, *range(3000, 143001, 10000)),  # the 27 of arXiv 2410.11451
}
_RANGE = re.compile(r"(\d+)\.\.(\d+)(?: by (\d+))?")
_ALL = re.compile(r"all(?: by (\d+))?")


def expand(spec: Spec, existing: Sequence[int] | None) -> list[int]:
    """Expand `spec` into steps, in its order.

    spec: a step, a range `A..B by C` (A, A + C, ... up to B), a range `A..B` (the existing steps
    from A to B), `all` (the existing steps), `all by N` (every Nth of them, and the last), a name
    in NAMED, or a list of these. existing: the steps that exist, ascending; None if they are not
    known. Raises ValueError if a text is none of these, or if it refers to existing steps and
    these are not known.
    """
    if isinstance(spec, int):
        return [spec]
    if not isinstance(spec, str):
        return [step for part in spec for step in expand(part, existing)]
    if spec in NAMED:
        return list(NAMED[spec])
    match, every = _RANGE.fullmatch(spec.strip()), _ALL.fullmatch(spec.strip())
    if match and match[3]:
        return list(_regular(int(match[1]), int(match[2]), int(match[3])))
    if (not match and not every) or (every and every[1] == "0"):
        raise ValueError(
            f"{spec!r} names no steps; write numbers, `all`, `all by 10`, a range like "
            f"`1000..143000 by 1000`, or one of {', '.join(NAMED)}"
        )
    if existing is None:
        raise ValueError(f"{spec!r} refers to the existing steps, which are not known yet")
    if match:
        return [step for step in existing if int(match[1]) <= step <= int(match[2])]
    assert every is not None
    return _thinned(existing, int(every[1] or 1))


def _thinned(existing: Sequence[int], by: int) -> list[int]:
    return sorted({*existing[::by], *existing[-1:]})


def _regular(first: int, last: int, by: int) -> range:
    if by < 1 or last < first:
        raise ValueError(
            f"the range `{first}..{last} by {by}` is empty; the start must not exceed the end and "
            f"the stride must be at least 1"
        )
    return range(first, last + 1, by)


def nothing_of(spec: Spec, existing: Sequence[int]) -> str:
    """Explain why a list of steps is empty, for an error."""
    if not existing:
        return f"`steps` {spec!r} names no step, because none exists"
    return f"`steps` {spec!r} names none of the existing steps, {existing[0]} to {existing[-1]}"


def descent(steps: Sequence[int]) -> int | None:
    """Return the first step that is not larger than the one before it, or None."""
    return next((b for a, b in pairwise(steps) if b <= a), None)


def nearest(step: int, existing: Sequence[int]) -> str:
    """Name the four existing steps nearest to one that does not exist, for an error."""
    closest = sorted(sorted(existing, key=lambda s: (abs(s - step), s))[:4])
    return f"the nearest that do are {', '.join(map(str, closest))}"
