"""The tiny study, run once for all test processes, and copies of it."""

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from studies import Run, Workplace


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, Run]:
    """The tiny study, run once from nothing; tests that change it take a copy.

    With several test processes the first one that needs it runs it, in a folder that all know;
    the others wait, and read what the run said.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "finished-study"
    said = shared / "finished-study.json"
    with FileLock(shared / "finished-study.lock"):
        if not said.exists():
            folder.mkdir()
            run = Workplace(folder).configure().finish()
            said.write_text(json.dumps([run.returncode, run.output, run.jobs]))
    returncode, output, jobs = json.loads(said.read_text())
    return Workplace(folder), Run(returncode, output, Counter(jobs))


@pytest.fixture
def copied(finished: tuple[Workplace, Run], tmp_path: Path) -> Callable[..., Workplace]:
    """A function that gives a copy of the finished study to work on."""

    def copy(*, with_library: bool = False) -> Workplace:
        return finished[0].copy(tmp_path / "copy", with_library=with_library)

    return copy
