"""The tiny study, run once, and copies of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from studies import Run, Workplace


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, Run]:
    """The tiny study, run once from nothing; tests that change it take a copy."""
    workplace = Workplace(tmp_path_factory.mktemp("finished")).configure()
    return workplace, workplace.finish()


@pytest.fixture
def copied(finished: tuple[Workplace, Run], tmp_path: Path) -> Callable[..., Workplace]:
    """A function that gives a copy of the finished study to work on."""

    def copy(*, with_library: bool = False) -> Workplace:
        return finished[0].copy(tmp_path / "copy", with_library=with_library)

    return copy
