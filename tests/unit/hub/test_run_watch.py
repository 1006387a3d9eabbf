"""What the main process tells waiting jobs of their run."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tending.hub import run_watch
from tending.hub.run_watch import ENDING, FETCHING, WORKING, Run, Watch


@dataclass(frozen=True)
class Job:
    """One of Snakemake's jobs, or a group of them, as far as it is looked at."""

    rules: tuple[str, ...]
    output: tuple[str, ...] = ()
    jobs: tuple["Job", ...] = ()

    def is_group(self) -> bool:
        return bool(self.jobs)


@dataclass
class Scheduler:
    """Snakemake's, as far as it is looked at."""

    running: set[Job] = field(default_factory=set)
    failed: set[Job] = field(default_factory=set)
    keepgoing: bool = False
    depending: dict[Job, dict[Job, Any]] = field(default_factory=dict)
    _user_kill: str | None = None

    @property
    def workflow(self) -> SimpleNamespace:
        return SimpleNamespace(dag=SimpleNamespace(depending=self.depending))


FETCH, REFERENCE, SPECTRA = Job(("fetch",)), Job(("fetch_reference",)), Job(("spectra",), ("a",))


@pytest.mark.parametrize(
    ("scheduler", "state"),
    [
        (Scheduler(), WORKING),
        (Scheduler({FETCH, REFERENCE}), FETCHING),
        (Scheduler({FETCH, SPECTRA}), WORKING),
        (Scheduler({Job(("fetch", "spectra"))}), WORKING),
        (Scheduler({SPECTRA}, {FETCH}), ENDING),
        (Scheduler({FETCH}, {SPECTRA}, keepgoing=True), FETCHING),
        (Scheduler({SPECTRA}, _user_kill="graceful"), ENDING),
    ],
)
def test_what_a_run_is_at(scheduler: Scheduler, state: str) -> None:
    assert run_watch.state_of(scheduler).state == state


def test_what_needs_a_failed_job_is_given_up() -> None:
    group = Job(("spectra",), jobs=(SPECTRA,))
    table, figure = Job(("table",), ("b",)), Job(("figure",), ("c", "d"))
    depending: dict[Job, dict[Job, Any]] = {SPECTRA: {table: 0, figure: 0}, table: {figure: 0}}
    depending[FETCH] = {Job(("activations",), ("e",)): 0}
    scheduler = Scheduler({FETCH}, {group}, keepgoing=True, depending=depending)
    assert run_watch.state_of(scheduler).given_up == {"a", "b", "c", "d"}


def test_a_run_is_watched_until_it_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_watch, "POLL_SECONDS", 0.001)
    scheduler, watch = Scheduler(), Watch("s")
    watch.start(scheduler)
    assert run_watch.seen("s") == Run(WORKING)
    scheduler.running.add(FETCH)
    while run_watch.seen("s") != Run(FETCHING):
        assert watch.thread is not None and watch.thread.is_alive()
    watch.stop()
    assert not watch.file.exists() and run_watch.seen("s") == Run(WORKING)
    Watch("never started").stop()
