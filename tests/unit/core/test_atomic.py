"""Files are whole or not there, whatever ends the writer."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tending.core import atomic

KILLED = """
import os, signal, sys
from pathlib import Path
from tending.core import atomic
with atomic.replacing(Path(sys.argv[1])) as partial:
    partial.write_text("half of")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def inside(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def kill_a_writer(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL


def test_a_block_that_ends_well_leaves_the_file_alone_in_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    atomic.write_text(path, "whole\n")
    assert path.read_text() == "whole\n"
    assert inside(path.parent) == {"a.txt"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic.replacing(path) as partial:
        partial.write_text("half of")
        raise error
    assert path.read_text() == "old"
    assert inside(tmp_path) == {"a.txt"}


def test_nothing_is_at_the_name_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with atomic.replacing(path) as partial:
        partial.write_text("half of")
        assert not path.exists()
        assert partial.parent == path.parent  # a rename across devices would copy
        assert partial.suffix == path.suffix
    assert path.exists()


def test_a_killed_writer_leaves_no_file_and_the_next_cleans_up(tmp_path: Path) -> None:
    path = tmp_path / "step4.h5"
    kill_a_writer(path)
    assert not path.exists()
    assert len(inside(tmp_path)) == 1  # its leftover, under a name that no rule reads
    assert next(iter(inside(tmp_path))).startswith(".")
    atomic.write_text(path, "whole")
    assert inside(tmp_path) == {"step4.h5"}


@pytest.mark.parametrize("neighbour", ["step40.h5", "step4.json", "step4.v2.h5", "step.h5"])
def test_a_writer_cleans_up_after_its_own_file_only(tmp_path: Path, neighbour: str) -> None:
    """A neighbour's partial file may belong to a job that is writing it now."""
    with atomic.replacing(tmp_path / neighbour) as partial:
        partial.write_text("in the making")
        atomic.write_text(tmp_path / "step4.h5", "whole")
        assert partial.exists()
    assert inside(tmp_path) == {neighbour, "step4.h5"}


def test_of_two_writers_of_a_file_the_later_one_wins(tmp_path: Path) -> None:
    """A job that a scheduler lost sight of may still write when its successor begins."""
    path = tmp_path / "step4.h5"
    with pytest.raises(FileNotFoundError), atomic.replacing(path) as lost:
        lost.write_text("of the lost job")
        with atomic.replacing(path) as partial:
            assert partial != lost and not lost.exists()
            partial.write_text("of its successor")
    assert path.read_text() == "of its successor"
    assert inside(tmp_path) == {"step4.h5"}


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic.replacing(tmp_path / "a.txt"):
        pass
    assert inside(tmp_path) == set()


def test_text_is_utf_8(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a.txt", "\u03c4 \u2265 0.9")
    assert (tmp_path / "a.txt").read_bytes() == "\u03c4 \u2265 0.9".encode()
    assert (tmp_path / "a.txt").stat().st_mode & 0o440 == 0o440  # others may read it
