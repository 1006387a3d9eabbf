"""Overhead of jobs before they work: seconds spent on imports by each script in a real run.

Usage: python bench/imports.py [REPETITIONS [STUDY.yaml]]

Runs a study (default: studies/smoke.yaml) in a temporary folder, one job at a time, and prints a
Markdown table of medians over all jobs of a script: CPU and wall seconds of all its imports,
including those within functions, beyond a bare Python start; the share of Snakemake's own preamble;
and the packages that took longest.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

REPOSITORY = Path(__file__).parents[1]
HOOK = Path(__file__).parent / "start_hook"


def run(study: Path, folder: Path) -> list[dict[str, Any]]:
    """Run a study from scratch in `folder`; return one record per job."""
    records = folder / "records"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(study.resolve()), "--cores", "1"]
    subprocess.run(command, env=hooked(records), check=True, capture_output=True)
    return read(records)


def hooked(records: Path) -> dict[str, str]:
    """Return an environment in which jobs record their imports in a new folder, `records`."""
    records.mkdir()
    paths = [str(HOOK), str(REPOSITORY / "workflow"), os.environ.get("PYTHONPATH", "")]
    found = {"START_HOOK": str(records), "PYTHONPATH": ":".join(p for p in paths if p)}
    return {**os.environ, **found}


def read(records: Path) -> list[dict[str, Any]]:
    """Read the records, one per job."""
    return [json.loads(file.read_text("utf-8")) for file in records.glob("*.json")]


def bare_start(repetitions: int = 15) -> float:
    """Measure the median CPU seconds of a Python process that does nothing."""
    took = []
    for _ in range(repetitions):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median(took)


def table(records: list[dict[str, Any]]) -> str:
    """Format records as a Markdown table, one row per script, most expensive imports first."""
    scripts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        scripts[record["script"]].append(record)
    titles = ("script", "jobs", "imports, CPU s", "wall s", "preamble", "job, CPU s", "most")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    dearest = sorted(scripts.items(), key=lambda item: -median(r["cpu"] for r in item[1]))
    for script, jobs in dearest:
        columns = ("cpu", "wall", "snakemake", "job")
        parts = [f"{median(job[name] for job in jobs):.2f}" for name in columns]
        names = {name for job in jobs for name in job["packages"]}
        each = {n: median(job["packages"].get(n, 0.0) for job in jobs) for n in names}
        most = [f"{n} {each[n]:.2f}" for n in sorted(each, key=lambda n: -each[n])[:4]]
        lines.append(f"| {script} | {len(jobs)} | {' | '.join(parts)} | {', '.join(most)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    chosen = Path(sys.argv[2]) if len(sys.argv) > 2 else REPOSITORY / "studies/smoke.yaml"
    found = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as place:
            found += run(chosen, Path(place))
    print(f"A bare Python start: {bare_start():.3f} CPU s.\n")
    print(table(found))
