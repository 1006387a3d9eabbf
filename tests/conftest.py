"""The order of tests over processes, and fixtures that all processes share.

A file's tests run in one process, for its fixtures' sake, but those that run whole studies, each
for itself: any process that is free takes the next. What takes longest begins first.
"""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
# Files that are mostly waiting or running studies, and begin first; the rest as pytest finds it.
LONG = ("slurm/", "test_conventions.py", "hub/test_hub_study.py", "workflow/", "hub/")
# Of these, files whose tests share nothing but what all processes share.
SPREAD = (
    "test_conventions.py",
    "hub/test_live_checkpoints.py",
    "hub/test_suites.py",
    *(f"workflow/test_{name}.py" for name in ("groups", "kills", "local", "partial_reruns")),
    *(f"workflow/test_{name}.py" for name in ("divergence_study", "gradient_study")),
    *(f"workflow/test_{name}.py" for name in ("representation_stage", "trajectory_study")),
)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is long, and keep the tests of one file together where they belong."""

    def place(item: pytest.Item) -> str:
        return item.path.relative_to(ROOT).as_posix()

    def turn(item: pytest.Item) -> int:
        return next((i for i, start in enumerate(LONG) if place(item).startswith(start)), len(LONG))

    items.sort(key=turn)  # stable: as found within one place
    for item in items:
        if place(item) not in SPREAD:
            item.add_marker(pytest.mark.xdist_group(place(item)))
