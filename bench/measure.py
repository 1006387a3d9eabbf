"""One row of the benchmark: the same work our way and another way, timed in turns.

A file of bench/rows defines `rows(threads)`, a generator, so that the inputs of a row are made
when its turn comes and are gone with it; and, for what takes long, `large_rows(threads)`.
"""

import ctypes
import gc
import importlib.util
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LEAST, TRIES = 3, 5  # rounds; runs of a yardstick in a round
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Row:
    """One piece of work.

    work, shape: what is done, and on what. ours, other: do it once, from inputs that are there;
    what they return is dropped. alternative: what `other` is. flops: operations that the work
    needs at least, in `precision`, which may name whose products it is measured by (`float32 by
    torch`); bytes: that it must at least read and write. target: the ratio
    of the other's time to ours to be reached at 1 thread. note: what a reader must know besides.
    times: how often the other's time counts. solve: the eigenvalue problems of the work alone, as
    quickly as a library does them; solve_flops: what of `flops` is theirs.
    """

    work: str
    shape: str
    ours: Callable[[], object]
    other: Callable[[], object] | None
    alternative: str
    flops: float
    bytes: float
    precision: str = "float64"
    target: float | None = None
    note: str = ""
    times: float = 1.0
    solve: Callable[[], object] | None = None
    solve_flops: float = 0.0


@dataclass(frozen=True)
class Side:
    """Median seconds of one run, and the memory it took at its peak above its inputs, MiB.

    The memory is NaN where the system does not tell.
    """

    seconds: float
    peak: float


@dataclass(frozen=True)
class Yardstick:
    """What the machine itself is measured by, between the repetitions of a row: run does it."""

    run: Callable[[], object]
    amount: float  # operations, or bytes


@dataclass(frozen=True)
class Measured:
    """What a row took; rates of the yardsticks in the same rounds, amount per second.

    solve: seconds of the eigenvalue problems alone, NaN where the row has none.
    """

    ours: Side
    other: Side | None
    rates: tuple[float, ...]
    repetitions: int
    solve: float = math.nan


Clock = Callable[[], float]


def installed(package: str) -> bool:
    """Whether an alternative can be imported; if not, says that its rows are left out."""
    if importlib.util.find_spec(package) is not None:
        return True
    print(f"left out: {package} is not installed (see bench/README.md)", file=sys.stderr)
    return False


def clock(threads: int) -> Clock:
    """CPU seconds of the process for one thread, which other work on the machine disturbs less.

    With more threads it is the time on the wall.
    """
    return time.process_time if threads == 1 else time.perf_counter


def measured(
    row: Row, yardsticks: tuple[Yardstick, ...], now: Clock, repetitions: int, budget: float
) -> Measured:
    """Time a row: ours, the other, the yardsticks, and again, so that all share bad moments.

    The first run of each is not timed; its peak memory is taken. Then there are `repetitions`
    rounds, or fewer once they have taken `budget` seconds, but LEAST at least. A yardstick is the
    best of TRIES in a round: it is short, and a slow moment of it would make all else look fast.
    """
    sides = [row.ours] if row.other is None else [row.ours, row.other]
    peaks = [peak_memory(side) for side in sides]
    runs = [*sides, *([row.solve] if row.solve else [])]
    for unmeasured in (*runs[len(sides) :], *(stick.run for stick in yardsticks)):
        unmeasured()
    rounds: list[list[float]] = []
    begin = time.perf_counter()
    while len(rounds) < repetitions and (
        len(rounds) < LEAST or time.perf_counter() - begin < budget
    ):
        timed = [_seconds(run, now) for run in runs]
        best = [min(_seconds(stick.run, now) for _ in range(TRIES)) for stick in yardsticks]
        rounds.append([*timed, *best])
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    found = [Side(s, p) for s, p in zip(medians, peaks, strict=False)]
    rates = tuple(y.amount / s for y, s in zip(yardsticks, medians[len(runs) :], strict=True))
    other = Side(found[1].seconds * row.times, found[1].peak) if row.other else None
    solve = medians[len(sides)] if row.solve else math.nan
    return Measured(found[0], other, rates, len(rounds), solve)


def _seconds(run: Callable[[], object], now: Clock) -> float:
    gc.collect()
    begin = now()
    run()
    return now() - begin


def peak_memory(run: Callable[[], object]) -> float:
    """MiB of resident memory at the peak of one run above what stood before it.

    The kernel's high-water mark is set back before the run, so that inputs that are already there
    do not count; what the run returns does. NaN where there is no such mark (Linux has it).
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # freed memory is given back first, or it is reused
        ctypes.CDLL(None).malloc_trim(0)
    try:
        CLEAR.write_text("5")
        before = resident("VmRSS")
    except OSError:
        run()
        return float("nan")
    kept = run()
    peak = resident("VmHWM")
    del kept
    return (peak - before) / 2**20


def resident(field: str) -> int:
    """Bytes by /proc/self/status: `VmRSS` now, `VmHWM` at the peak."""
    lines = STATUS.read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def selected(rows: Iterator[Row], only: str) -> Iterator[Row]:
    """Rows whose work or shape holds `only`."""
    return (row for row in rows if only in f"{row.work} {row.shape}")
