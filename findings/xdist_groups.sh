#!/usr/bin/env bash
# With pytest 9.2, pytest-xdist's --dist loadgroup keeps no tests together, and says nothing.
#
# pytest 9.2.0, pytest-xdist 3.8.0. A mark `xdist_group` is meant to send all tests of a group to one
# process. xdist writes the group into a private attribute of each test, from which pytest no longer takes
# the test's id; so each test is a group of its own. Four tests of one group, each of which takes a moment,
# run in two processes here. A fixture of module or session scope is then built once per process, and tests
# that rely on sharing something run side by side.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pytest==9.2.0 pytest-xdist==3.8.0
cat >"$work/test_group.py" <<'PYTHON'
import time

import pytest


@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(4))
def test_one(number, worker_id):
    with open("workers.txt", "a") as file:
        print(worker_id, file=file)
    time.sleep(0.5)
PYTHON
cd "$work"
venv/bin/python -m pytest -q -n 2 --dist loadgroup test_group.py >pytest.log
used=$(sort -u workers.txt | wc -l)
echo "four tests of one group ran in $used processes"
[ "$used" -eq 2 ]
