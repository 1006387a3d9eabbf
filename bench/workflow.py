"""Breakdown of a whole study's time: compute, imports, job startup, and the remainder.

Usage: python -m bench.workflow [--study config.yaml] [--cores 2] [--folder EMPTY]
       python -m bench.workflow --finished results/embedded --wall 613 --cores 2

The first form runs the study from scratch in its own folder and measures it (the default study
takes five to ten minutes on two cores). The second analyses the files of a run whose wall-clock
time is known. Imports are those at the head of every script, measured here in a fresh process
each, and, for a run made here, those made later by its jobs. A job's compute is the time in its
log ("done in") without these imports; the rest of its time is the startup of Python and Snakemake's
own code.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from bench import imports

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "workflow/scripts"
DONE = re.compile(r"INFO done in ([0-9.]+) s")
IMPORTED = """
import importlib.util, sys, time
begin = time.perf_counter()
spec = importlib.util.spec_from_file_location("script", sys.argv[1])
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(time.perf_counter() - begin)
"""
# scripts whose name differs from the folder they write to
CALLED = {
    "training": "train",
    "checkpoints": "checkpoint",
    "figures": "figure",
    "reference": "reference_distribution",
    "corpus/embedded": "embedded_corpus",
    "corpus/tokens": "corpus",
    "tables": "table",
    "tables/summary": "summary",
    "tables/verification": "verification",
    "config": "study_config",
}


@dataclass(frozen=True)
class Job:
    """Wall-clock seconds of one job, and seconds of its script's work alone."""

    stage: str
    script: str
    wall: float
    compute: float


def jobs(study: Path) -> list[Job]:
    """Return all jobs of a finished study that have a benchmark file and a log."""
    found = []
    for file in sorted((study / "benchmarks").rglob("*.tsv")):
        inner = file.relative_to(study / "benchmarks").with_suffix("")
        log = (study / "logs" / inner).with_suffix(".log")
        said = DONE.findall(log.read_text("utf-8", errors="replace")) if log.exists() else []
        if said:
            wall = float(pd.read_csv(file, sep="\t")["s"].iloc[0])
            found.append(Job(inner.parts[0], script_of(inner), wall, float(said[-1])))
    return found


def script_of(inner: Path) -> str:
    """Return the script that writes this path below the study's folder; empty if unknown."""
    names = [CALLED.get(str(inner)), CALLED.get(inner.parts[0]), inner.parts[0]]
    known = [name for name in names if name and exists(name)]
    return known[0] if known else ""


def exists(script: str) -> bool:
    return (SCRIPTS / f"{script}.py").exists()


def import_seconds(scripts: Iterable[str], repetitions: int = 3) -> dict[str, float]:
    """Measure the median seconds for the head of each script in a fresh Python process."""
    found = {"": 0.0}
    for script in sorted(set(scripts) - {""}):
        command = [sys.executable, "-c", IMPORTED, str(SCRIPTS / f"{script}.py")]
        times = sorted(
            float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            for _ in range(repetitions)
        )
        found[script] = times[len(times) // 2]
    return found


def later_seconds(records: list[dict[str, Any]], heads: Mapping[str, float]) -> dict[str, float]:
    """Return the mean seconds of imports that a script's jobs make later than at its head."""
    took: dict[str, list[float]] = defaultdict(list)
    for record in records:
        took[record["script"]].append(record["wall"] - record["snakemake"])
    return {s: max(0.0, fmean(took[s]) - head) for s, head in heads.items() if s in took}


def by_stage(
    done: list[Job], heads: Mapping[str, float], later: Mapping[str, float]
) -> pd.DataFrame:
    """Sum the seconds of all jobs by stage: compute, imports, and startup."""
    rows = []
    for job in done:
        head = min(heads[job.script], max(0.0, job.wall - job.compute))
        within = min(later.get(job.script, 0.0), job.compute)
        rows.append(
            {
                "stage": job.stage,
                "jobs": 1,
                "wall": job.wall,
                "compute": job.compute - within,
                "imports": head + within,
                "start": max(0.0, job.wall - job.compute - head),
            }
        )
    return pd.DataFrame(rows).groupby("stage").sum().sort_values("wall", ascending=False)


def told(stages: pd.DataFrame, wall: float, cores: int) -> str:
    """Format the table, and the run's time as a multiple of compute and imports."""
    sums = stages.sum()
    useful = sums["compute"] + sums["imports"]
    lines = [
        stages.round(1).to_string(),
        "",
        f"compute and imports: {useful:.0f} s ({sums['compute']:.0f} and {sums['imports']:.0f})",
        f"starting Python and Snakemake's part of {sums['jobs']:.0f} jobs: {sums['start']:.0f} s",
        f"planning, scheduling and waiting: {wall * cores - sums['wall']:.0f} s of "
        f"{wall:.0f} s on {cores} cores",
        f"in all {wall * cores / useful:.2f} times compute and imports (to be reached: 1.5)",
    ]
    return "\n".join(lines)


def run(config: Path, folder: Path, cores: int) -> tuple[Path, float, list[dict[str, Any]]]:
    """Run a study from scratch; return its results folder, wall seconds and import records."""
    import yaml

    name = yaml.safe_load(config.read_text("utf-8"))["study"]
    command = ["--snakefile", ROOT / "Snakefile", "--directory", folder, "--cores", cores]
    command += ["--resources", "gpu=1", "--configfile", config.resolve()]
    records = folder / "records"
    environment = imports.hooked(records)
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *map(str, command)], env=environment, check=False
    )
    wall = time.perf_counter() - begin
    if done.returncode:
        sys.exit(f"the study ended with exit status {done.returncode}; its files are in {folder}")
    return folder / "results" / name, wall, imports.read(records)


def main() -> None:
    parser = argparse.ArgumentParser(description="Where the time of a whole study goes.")
    parser.add_argument("--study", type=Path, default=ROOT / "config.yaml", help="a study file")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, help="where to run it; default: a temporary one")
    parser.add_argument("--finished", type=Path, help="results of a study that was run already")
    parser.add_argument("--wall", type=float, help="seconds that it took")
    asked = parser.parse_args()
    if (asked.finished is None) != (asked.wall is None):
        parser.error("--finished and --wall go together: how long the run took is in no file")
    with tempfile.TemporaryDirectory() as temporary:
        if asked.finished is None:
            study, wall, records = run(asked.study, asked.folder or Path(temporary), asked.cores)
        else:
            study, wall, records = asked.finished, asked.wall, []
        done = jobs(study)
    if not done:
        sys.exit(f"{study} has no benchmark files with logs; give the folder of a finished study")
    heads = import_seconds(job.script for job in done)
    print(told(by_stage(done, heads, later_seconds(records, heads)), wall, asked.cores))
    if not records:
        print("imports that jobs made as they went are counted as compute")


if __name__ == "__main__":
    main()
