"""Killed at any moment, the same command ends with the results of an undisturbed run."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from studies import Run, Workplace, contents


def wait_for(
    run: subprocess.Popen[str], happened: Callable[[], object], seconds: int = 300
) -> None:
    """Return when something has happened in a run that is still going on."""
    for _ in range(seconds * 50):
        if happened():
            return
        try:
            run.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError("the run ended before it could be disturbed")
    raise AssertionError("what was waited for did not happen")


def job_process(workplace: Workplace, script: str) -> int | None:
    """The process of a job that runs in a workplace, by the name of its script."""
    own = rf"{re.escape(str(workplace.folder))}/.*/tmp\w*\.{script}\.py"
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if len(words) > 1 and re.fullmatch(own, os.fsdecode(words[1])):
                return int(entry.name)
    return None


def kill(run: subprocess.Popen[str]) -> None:
    """As the kernel does it: no clean-up, and the jobs go on for a moment without their run."""
    os.kill(run.pid, signal.SIGKILL)
    run.wait()


def test_killed_runs_end_as_undisturbed_ones(
    finished: tuple[Workplace, Run], copied: Callable[..., Workplace]
) -> None:
    workplace = copied()
    results = workplace.results
    for name in ("training", "checkpoints", "activations", "spectra", "convergence", "tables"):
        shutil.rmtree(results / name)

    run = workplace.start()
    wait_for(run, lambda: (results / "training/a/step1").exists())
    kill(run)
    locks = list((workplace.folder / ".snakemake/locks").iterdir())
    assert locks, "a killed run leaves Snakemake's lock behind"

    run = workplace.start()
    wait_for(run, lambda: any((results / "activations").glob("*/*.h5")))
    wait_for(run, lambda: job_process(workplace, "activations"))
    victim = job_process(workplace, "activations")
    if victim is not None:
        os.kill(victim, signal.SIGKILL)
    assert run.wait(timeout=300) == (0 if victim is None else 1)

    run = workplace.start()
    wait_for(run, lambda: any((results / "convergence").glob("*/*.h5")))
    kill(run)

    run = workplace.start()
    wait_for(run, lambda: (results / "tables/effective_rank.csv").exists())
    kill(run)

    workplace.finish()
    assert contents(results) == contents(finished[0].results)
    leftovers = [p for p in results.rglob(".*") if p.name != ".lock"]
    assert leftovers == []
    assert "Nothing to be done" in workplace.finish("--dry-run").output


def test_two_runs_at_once_are_refused(copied: Callable[..., Workplace]) -> None:
    """The recovery above must not take the lock of a run that is alive."""
    workplace = copied()
    shutil.rmtree(workplace.results / "activations")
    run = workplace.start()
    wait_for(run, lambda: job_process(workplace, "activations"))
    second = workplace.run()
    assert second.returncode == 1
    assert "lock" in second.output.lower()
    assert run.wait(timeout=300) == 0
