"""One row of the benchmark: the same work done our way and another way, timed alternately.

A file of bench/rows defines `rows(threads)`, a generator, so that a row's inputs exist only while
it is measured; and, for long runs, `large_rows(threads)`.
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

LEAST, TRIES = 3, 5  # fewest rounds; runs of a yardstick in a round
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Row:
    """One piece of work.

    work, shape: names of the task and its inputs. ours, other: functions that do it once from
    existing inputs; their results are dropped. alternative: description of `other`. flops: fewest
    operations that the work needs, in `precision`, which may name the library whose products are
    the yardstick (`float32 by torch`); bytes: fewest bytes it must read and write. target: desired
    ratio of the other's time to ours with 1 thread. note: further remarks for the reader. times:
    factor by which the other's time is multiplied. solve: the eigenvalue problems of the work
    alone, as fast as any library solves them; solve_flops: their share of `flops`.
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
    """Median seconds of one run, and its peak memory beyond its inputs, MiB.

    The memory is NaN where the system does not report it.
    """

    seconds: float
    peak: float


@dataclass(frozen=True)
class Yardstick:
    """A reference task that measures the machine between the repetitions of a row."""

    run: Callable[[], object]
    amount: float  # operations, or bytes


@dataclass(frozen=True)
class Measured:
    """Measurements of a row; rates: yardsticks in the same rounds, amount per second.

    solve: seconds for the eigenvalue problems alone, NaN where the row has none.
    """

    ours: Side
    other: Side | None
    rates: tuple[float, ...]
    repetitions: int
    solve: float = math.nan


Clock = Callable[[], float]


def installed(package: str) -> bool:
    """Return whether an alternative can be imported; if not, report that its rows are left out."""
    if importlib.util.find_spec(package) is not None:
        return True
    print(f"left out: {package} is not installed (see bench/README.md)", file=sys.stderr)
    return False


def clock(threads: int) -> Clock:
    """Return the clock: CPU time for one thread, which other work on the machine disturbs less.

    With more threads it is wall-clock time.
    """
    return time.process_time if threads == 1 else time.perf_counter


def measured(
    row: Row, yardsticks: tuple[Yardstick, ...], now: Clock, repetitions: int, budget: float
) -> Measured:
    """Time a row in rounds of ours, the other and the yardsticks, so that all share slow moments.

    The first run of each is not timed, but used for peak memory. Then there are `repetitions`
    rounds, or fewer once they have taken `budget` seconds, but at least LEAST. A yardstick is the
    best of TRIES in a round: it is short, and a slow moment would make everything else look fast.
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
    """Measure one run's peak resident memory in MiB, relative to that before it.

    The kernel's high-water mark is reset before the run, so that existing inputs do not count; the
    result of the run does. NaN where there is no such mark (Linux has it).
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # return freed memory first, lest it be reused
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
    """Read bytes from /proc/self/status: `VmRSS` now, `VmHWM` at the peak."""
    lines = STATUS.read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def selected(rows: Iterator[Row], only: str) -> Iterator[Row]:
    """Return the rows whose work or shape contains `only`."""
    return (row for row in rows if only in f"{row.work} {row.shape}")
