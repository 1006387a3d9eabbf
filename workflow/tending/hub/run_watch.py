"""The state of a run, written by its main process for its jobs.

A job that waits for room on the shelf cannot see whether any will ever be freed: whether other
jobs are running, have failed, or will never start. Snakemake can.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tending.core import paths, snakemake_internals

FETCHES = {"fetch", "fetch_reference"}  # the rules whose jobs wait
POLL_SECONDS = 1.0

WORKING, FETCHING, ENDING = "working", "fetching", "ending"


@dataclass(frozen=True)
class Run:
    """The state of a run.

    fetching: all running jobs are fetches; ending: no more jobs are started, and those that are
    running may finish. given_up: files that will not be made, because a job has failed.
    """

    state: str = WORKING
    given_up: frozenset[str] = frozenset()


def seen(study: str) -> Run:
    """Read the state of the study's run, as last written by its main process."""
    try:
        told = json.loads(Path(paths.WEIGHTS_RUN.format(study=study)).read_text("utf-8"))
    except FileNotFoundError:
        return Run()
    return Run(told["state"], frozenset(told["given_up"]))


def state_of(scheduler: Any) -> Run:
    """Return the state of the run, from Snakemake's scheduler."""
    lost = snakemake_internals.given_up(scheduler)
    files = frozenset(str(file) for job in lost for file in job.output)
    if snakemake_internals.ending(scheduler):
        return Run(ENDING, files)
    running = list(scheduler.running)
    alone = bool(running) and all(FETCHES.issuperset(job.rules) for job in running)
    return Run(FETCHING if alone else WORKING, files)


class Watch:
    """A thread of the main process that keeps the state's file up to date during a run."""

    def __init__(self, study: str) -> None:
        self.file = Path(paths.WEIGHTS_RUN.format(study=study))
        self.ended = Event()
        self.thread: Thread | None = None

    def start(self, scheduler: Any) -> None:
        """Start, before the first job; scheduler: Snakemake's, of this run."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._write(Run())
        self.thread = Thread(target=self._follow, args=(scheduler,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Stop, and leave nothing for the next run."""
        self.ended.set()
        if self.thread:
            self.thread.join()
            self.file.unlink(missing_ok=True)

    def _follow(self, scheduler: Any) -> None:
        written = Run()
        while not self.ended.wait(POLL_SECONDS):
            now = state_of(scheduler)
            if now != written:
                self._write(now)
                written = now

    def _write(self, run: Run) -> None:
        """Write the file atomically, without fsync: it has no meaning after a crash."""
        partial = self.file.with_name(f"{self.file.name}.{os.getpid()}.partial")
        told = {"state": run.state, "given_up": sorted(run.given_up)}
        partial.write_text(json.dumps(told), "utf-8")
        partial.replace(self.file)
