"""Cost of planning a long study: from scratch, finished, and finished with one more step.

Usage: python bench/planning.py [--study studies/pythia-all.yaml] [--models 10] [--steps 154]

Works in a temporary folder, without the hub: commits are made up, and a finished study consists of
empty files that Snakemake takes for its results. Prints a Markdown table: jobs, wall and CPU
seconds, peak MiB.
"""

import argparse
import io
import os
import re
import resource
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import yaml

from tending.checkpoints import hub
from tending.core import paths, steps
from tending.hub import pins
from tending.hub.pins import Revision

REPOSITORY = Path(__file__).parents[1]
HEADER = ("plan", "jobs", "wall s", "CPU s", "peak MiB")

Config = dict[str, Any]


def subset(study: Path, models: int, count: int) -> Config:
    """Return a study of the first `models` models and `count` evenly spread steps."""
    config: Config = yaml.safe_load(study.read_text("utf-8"))
    every = steps.expand(config["steps"], None)
    kept = sorted({every[i * (len(every) - 1) // max(1, count - 1)] for i in range(count)})
    chosen = [{k: v for k, v in m.items() if k != "published_as"} for m in config["models"]]
    return {**config, "models": chosen[:models], "steps": kept}


def pin(config: Config) -> None:
    """Write the study's own pin file, with made-up commits and hashes."""
    made = {}
    for number, model in enumerate(config["models"]):
        known = hub.resolved(model, config["study"])
        fields = {s: _revision(r, number, s) for s, r in known.revisions.items()}
        made[model["name"]] = replace(known, revisions=fields, main=fields[max(fields)])
    pins.write(made, Path(paths.REVISIONS.format(study=config["study"])))


def _revision(known: Revision, number: int, step: int) -> Revision:
    files = {
        name: replace(file, sha256=f"{number}{len(name)}{0 if 'token' in name else step:062x}")
        for name, file in known.files.items()
    }
    return replace(known, commit=f"{number:020x}{step:020x}", files=files)


def finish(study: Path) -> None:
    """Make a study look finished: empty files, and Snakemake's records of them."""
    to_make = runpy.run_path(str(REPOSITORY / "workflow/scripts/plan.py"))["to_make"]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        files = to_make(yaml.safe_load(study.read_text("utf-8")), REPOSITORY / "Snakefile")
    for file in map(Path, files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    touch = "from snakemake.executors.touch import Executor; Executor.SLEEPING_TIME = 0"
    command = ["-c", f"{touch}; from snakemake.cli import main; main()", "--touch"]
    # Many at a time, because the scheduler scans all ready jobs for every few that it starts.
    many = ("--resources", "gpu=5000", "download=5000", "--max-jobs-per-timespan", "100000/1s")
    snakemake(study, *many, "--quiet", "all", start=command, cores=5000)


def snakemake(
    study: Path, *options: str, start: Sequence[str] = ("-m", "snakemake"), cores: int = 2
) -> tuple[str, resource.struct_rusage]:
    """Run Snakemake on a study in the working directory, without the hub.

    start: arguments of Python that start Snakemake. Returns its output and resource usage. Raises
    RuntimeError if it fails.
    """
    command = [sys.executable, *start, *options, "--cores", str(cores)]
    command += ["--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", str(study)]
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9"}
    environment["PYTHONPATH"] = str(REPOSITORY / "workflow")
    with TemporaryFile("w+") as output:
        run = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if run.returncode:
        raise RuntimeError(said)
    return said, usage


def measured(what: str, study: Path) -> tuple[str, ...]:
    """Measure a dry run, as a user starts it; return one row."""
    started = time.perf_counter()
    said, usage = snakemake(study, "--dry-run")
    wall, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    jobs = sum(planned(said).values())
    return what, f"{jobs:,}", f"{wall:.1f}", f"{cpu:.1f}", f"{usage.ru_maxrss / 1024:.0f}"


def planned(output: str) -> dict[str, int]:
    """Parse jobs by rule from the last table that a dry run prints."""
    table = output.rpartition("Job stats:")[2]
    found = re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)
    return {rule: int(count) for rule, count in found if rule not in ("total", "all")}


def written(config: Config, name: str) -> Path:
    """Write a config to a file in the working directory."""
    file = Path(name)
    file.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return file


def rows(study: Path, models: int, count: int) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table, measured in the working directory."""
    full = subset(study, models, count)
    less = deepcopy(full)
    less["steps"].remove(full["steps"][len(full["steps"]) // 2])
    everything, before = written(full, "full.yaml"), written(less, "less.yaml")
    yield measured("dry run, commits not known", everything)
    pin(full)
    yield measured("dry run", everything)
    finish(before)
    yield measured("finished study", before)
    yield measured("finished study and one step", everything)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, default=REPOSITORY / "studies/pythia-all.yaml")
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--steps", type=int, default=154)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, chdir(folder):
        head = (HEADER, ("---",) * len(HEADER))
        for row in chain(head, rows(asked.study, asked.models, asked.steps)):
            print("| " + " | ".join(row) + " |", flush=True)
