"""Measurement of rows with one number of threads; `bench.run` starts it as a separate process.

Every measured row is one line of JSON on standard output.
"""

import argparse
import contextlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.floor import Machine, floor
from bench.measure import Measured, Row, clock, measured, selected
from bench.table import counted

PACKAGES = Path(__file__).parents[1] / ".bench-packages"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("modules", nargs="+")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--repetitions", type=int, required=True)
    parser.add_argument("--budget", type=float, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--large", action="store_true")
    asked = parser.parse_args()
    sys.path.append(str(PACKAGES))  # last, so that tending's own dependencies take precedence
    now = clock(asked.threads)
    machine = Machine(now)
    for row in rows(asked.modules, asked.threads, asked.large, asked.only):
        print(f"{counted(asked.threads)}: {row.work}, {row.shape}", file=sys.stderr, flush=True)
        with contextlib.redirect_stdout(sys.stderr):  # keeps alternatives' output out of results
            yardsticks = machine.yardsticks(row.precision)
            found = measured(row, yardsticks, now, asked.repetitions, asked.budget)
        print(json.dumps(record(row, found, asked.threads)), flush=True)


def rows(modules: list[str], threads: int, large: bool, only: str) -> Iterator[Row]:
    """Yield the rows of some files of bench/rows, one at a time."""
    for name in modules:
        module = importlib.import_module(f"bench.rows.{name}")
        makers = [module.rows]
        if large and hasattr(module, "large_rows"):
            makers.append(module.large_rows)
        for maker in makers:
            yield from selected(maker(threads), only)


def record(row: Row, found: Measured, threads: int) -> dict[str, object]:
    """Return a line of the table."""
    least = floor(row.flops, row.bytes, found.rates)
    # no library solves eigenvalue problems at the rate of matrix products
    solved = floor(row.flops - row.solve_flops, row.bytes, found.rates) + found.solve
    ours, other = found.ours, found.other
    return {
        "work": row.work,
        "shape": row.shape,
        "threads": threads,
        "ours_s": ours.seconds,
        "other_s": other.seconds if other else None,
        "ratio": other.seconds / ours.seconds if other else None,
        "target": row.target if threads == 1 else None,
        "floor_s": least,
        "times_floor": ours.seconds / least if least else None,
        "solve_s": found.solve,
        "solved_floor_s": solved,
        "times_solved_floor": ours.seconds / solved,
        "rate_share": row.flops / found.rates[0] / ours.seconds,
        "ours_mib": ours.peak,
        "other_mib": other.peak if other else None,
        "precision": row.precision,
        "gflops_machine": found.rates[0] / 1e9,
        "gbytes_machine": found.rates[1] / 1e9,
        "repetitions": found.repetitions,
        "alternative": row.alternative,
        "note": row.note,
    }


if __name__ == "__main__":
    main()
