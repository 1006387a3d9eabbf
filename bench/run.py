"""Run the benchmark: print its table, and write it as CSV and as a figure.

Usage: python -m bench.run [--only TEXT] [--rows NAME ...] [--large] [--repetitions 5]
"""

import argparse
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import bench.rows
from bench import figure, table

OUTPUT = Path("results/bench")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def main() -> None:
    every = sorted(m.name for m in pkgutil.iter_modules(bench.rows.__path__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", nargs="+", choices=every, default=every, metavar="NAME")
    parser.add_argument("--only", default="", help="only rows whose work or shape holds this")
    parser.add_argument("--large", action="store_true", help="the whole 2.8b model too")
    parser.add_argument("--repetitions", type=int, default=5, help="rounds per row at most")
    parser.add_argument("--budget", type=float, default=12.0, help="seconds per row for them")
    parser.add_argument("--threads", type=int, nargs="+", help="default: 1 and all")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    everywhere = sorted({1, len(os.sched_getaffinity(0))})
    records = [
        record
        for threads in asked.threads or everywhere
        for record in measured(threads, asked.rows, options(asked))
    ]
    if not records:
        sys.exit(f"no row holds {asked.only!r}; the files of rows are {', '.join(every)}")
    print(table.text(records))
    asked.output.mkdir(parents=True, exist_ok=True)
    table.write(records, asked.output / "table.csv")
    figure.draw(records, table.machine(), asked.output / "figure.png")
    print(f"\n{asked.output}/table.csv and figure.png")


def options(asked: argparse.Namespace) -> list[str]:
    """Return the worker's options."""
    found = ["--repetitions", str(asked.repetitions), "--budget", str(asked.budget)]
    return [*found, "--only", asked.only, *(["--large"] if asked.large else [])]


def measured(threads: int, names: list[str], given: list[str]) -> list[dict[str, object]]:
    """Measure all rows in a fresh process whose libraries use `threads`; return the records."""
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    command = [sys.executable, "-m", "bench.worker", *names, "--threads", str(threads), *given]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"the rows at {table.counted(threads)} ended with exit status {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    main()
