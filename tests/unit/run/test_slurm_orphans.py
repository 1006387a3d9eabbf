"""Jobs that a killed run left in SLURM's queue, with commands that stand in for SLURM's."""

import json
import logging
from pathlib import Path

import pytest

from tending.run import slurm_orphans


@pytest.fixture
def markers(tmp_path: Path) -> Path:
    """Snakemake's notes: two jobs of SLURM's, a local one, and what is no note."""
    folder = tmp_path / "incomplete"
    (folder / "@long").mkdir(parents=True)
    for name, job in {"a": "12", "b": "12", "@long/c": "9", "local": None}.items():
        (folder / name).write_text(json.dumps({"external_jobid": job}))
    (folder / "migrated").write_text("")
    (folder / "odd").write_text("[1]")
    (folder / "foreign").write_text(json.dumps({"external_jobid": "pod-7; rm"}))
    return folder


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a queue of a few jobs, out of which scancel takes those that it is told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        slurm_orphans.SQUEUE: f"cat {folder}/queue",
        slurm_orphans.SCANCEL: f'echo "$@" >> {folder}/cancelled; echo 100 > {folder}/queue',
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    (folder / "queue").write_text("9\n12\n100\n")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_the_jobs_of_the_killed_run_are_cancelled_and_no_others(
    markers: Path, commands: Path
) -> None:
    assert slurm_orphans.cancel(markers) == ["9", "12"]
    assert (commands / "cancelled").read_text() == "9 12\n"


def test_what_has_ended_is_left_alone(markers: Path, commands: Path) -> None:
    (commands / "queue").write_text("100\n")
    assert slurm_orphans.cancel(markers) == []
    assert not (commands / "cancelled").exists()


@pytest.mark.parametrize("folder", ["nothing", "empty"])
def test_without_notes_slurm_is_not_asked(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(slurm_orphans, "_run", lambda *command: pytest.fail("asked"))
    assert slurm_orphans.cancel(tmp_path / folder) == []


def test_without_slurm_nothing_is_done(
    markers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm_orphans.cancel(markers) == []


def test_the_user_is_told_if_slurm_does_not_answer(
    markers: Path, commands: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (commands / slurm_orphans.SQUEUE).write_text("#!/bin/sh\nexit 1\n")
    with caplog.at_level(logging.WARNING):
        assert slurm_orphans.cancel(markers) == []
    assert "look with squeue for 9, 12" in caplog.text


def test_jobs_that_do_not_end_are_not_waited_for_without_limit(
    markers: Path, commands: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (commands / slurm_orphans.SCANCEL).write_text("#!/bin/sh\n")
    monkeypatch.setattr(slurm_orphans, "ENDS_WITHIN", 0)
    with caplog.at_level(logging.WARNING):
        assert slurm_orphans.cancel(markers) == []
    assert "did not end within 0 s" in caplog.text
