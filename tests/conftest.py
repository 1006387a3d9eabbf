"""The order of tests over processes, and fixtures that all processes share.

A file's tests run in one process, for its fixtures' sake, but those that run whole studies, each
for itself: any process that is free takes the next. What takes longest begins first.
"""

import pytest
from xdist.scheduler import LoadScopeScheduling

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


def scope(test: str) -> str:
    """Return what a test, by its id, is kept together with: its file, or nothing but itself."""
    file = test.split("::")[0].removeprefix("tests/")
    return test if file in SPREAD else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest; what is found first comes first within one place."""

    def turn(item: pytest.Item) -> int:
        file = scope(item.nodeid).split("::")[0].removeprefix("tests/")
        return next((i for i, start in enumerate(LONG) if file.startswith(start)), len(LONG))

    items.sort(key=turn)


class Scheduler(LoadScopeScheduling):
    """Hands out tests by `scope`, in the order in which they were collected.

    xdist's own groups, by a mark, do nothing with pytest 9.2 (see findings/xdist_groups.sh).
    """

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduler:
    """Take the place of the scheduler that --dist names."""
    return Scheduler(config, log)
