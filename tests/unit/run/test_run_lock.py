"""Locks of killed runs are removed, locks of living ones are not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tending.run.job import here

RUN = """
import os, sys
from pathlib import Path
from tending.run import run_lock
print(run_lock.take(Path(sys.argv[1])), os.environ[run_lock.RUN_VARIABLE], flush=True)
input()
"""


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], bool]]:
    """A run that holds the lock, and whether it removed stale lock files."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    removed, place, pid = process.stdout.readline().split()
    assert (place, int(pid)) == (here(), process.pid)  # jobs watch it
    try:
        yield process, removed == "True"
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Snakemake's folder with the locks of a run."""
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text("a.h5\n")
    (locks / "0.output.lock").write_text("b.h5\n")
    return tmp_path / ".snakemake"


def locks(folder: Path) -> int:
    return len(list((folder / "locks").iterdir()))


def test_stale_locks_are_removed(folder: Path) -> None:
    with running(folder) as (_, removed):
        assert removed
        assert locks(folder) == 0
        assert (folder / "locks").is_dir()


def test_locks_of_a_living_run_are_respected(folder: Path) -> None:
    with running(folder):
        (folder / "locks" / "0.input.lock").write_text("its own")
        with running(folder) as (_, removed):
            assert not removed
            assert locks(folder) == 1


def test_every_living_run_counts(folder: Path) -> None:
    """The first has ended, the second lives: its locks are not stale for the third."""
    with running(folder) as (first, _), running(folder):
        assert first.stdin is not None
        first.stdin.close()
        first.wait(timeout=10)
        (folder / "locks" / "0.input.lock").write_text("of the second")
        with running(folder) as (_, removed):
            assert not removed
            assert locks(folder) == 1


def test_a_killed_run_leaves_nothing_to_unlock(folder: Path) -> None:
    with running(folder) as (killed, _):
        (folder / "locks" / "0.input.lock").write_text("its own")
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait(timeout=10)
        with running(folder) as (_, removed):
            assert removed
            assert locks(folder) == 0


def test_a_first_run_has_nothing_to_remove(tmp_path: Path) -> None:
    with running(tmp_path / ".snakemake") as (_, removed):
        assert not removed
    (tmp_path / ".snakemake" / "locks").mkdir()
    with running(tmp_path / ".snakemake") as (_, removed):
        assert not removed


def test_the_lock_is_not_passed_to_children(folder: Path) -> None:
    """A job that outlives its run by a moment must not look like a living run."""
    code = RUN.replace(
        "input()", "import subprocess; subprocess.Popen(['sleep', '20']); os._exit(0)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code + "\n", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    child.wait(timeout=10)
    (folder / "locks" / "0.input.lock").write_text("of the killed run")
    with running(folder) as (_, removed):
        assert removed
    os.killpg(child.pid, signal.SIGKILL)  # the sleeping child


def test_what_a_killed_run_did_not_record_is_made_again(tmp_path: Path) -> None:
    """Its start is that of the run that was killed, not of one that was refused meanwhile."""
    folder = tmp_path / ".snakemake"
    product = tmp_path / "results/s/activations/m/step1.h5"
    product.parent.mkdir(parents=True)
    with running(folder) as (killed, _):
        (folder / "locks").mkdir()
        (folder / "locks" / "0.output.lock").write_text("its own")
        product.write_text("made by a job that went on")
        with running(folder):
            pass
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait(timeout=10)
        with running(folder) as (_, removed):
            assert removed
    assert len(list((folder / "incomplete").iterdir())) == 1
