"""Stored numbers of the stages that carry a version instead of a hash of their code.

A GPU stage is rerun when its VERSION is raised, not when its code changes; so its numbers may not
change under the same VERSION.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "golden"
WRITE = "TENDING_WRITE_GOLDEN"  # environment variable: 1 to store the numbers of a new VERSION

Numbers = Mapping[str, list[float]]


def check(name: str, module: str, version: int, numbers: Numbers, rtol: float) -> None:
    """Compare numbers with golden/NAME.json; fail with what to do about a difference."""
    path = FOLDER / f"{name}.json"
    how = f"{WRITE}=1 python -m pytest tests/unit -k golden"
    if not path.exists():
        if os.environ.get(WRITE) != "1":
            pytest.fail(f"{path} does not exist; write it with {how}")
        _write(path, version, numbers)
    stored = json.loads(path.read_text("utf-8"))
    if stored["version"] != version:
        if os.environ.get(WRITE) != "1":
            pytest.fail(
                f"{path} holds the numbers of VERSION {stored['version']}, {module} has VERSION "
                f"{version}: store the new numbers with {how}, and look at the difference in git"
            )
        _write(path, version, numbers)
        stored = json.loads(path.read_text("utf-8"))
    changed = [
        key for key in {**stored["numbers"], **numbers} if not _same(stored, numbers, key, rtol)
    ]
    if changed:
        pytest.fail(
            f"the numbers of {module} changed ({', '.join(changed)}), but its VERSION is still "
            f"{version}: raise VERSION in {module}, so that studies compute them again, then store "
            f"them with {how}"
        )


def _same(stored: Mapping[str, Numbers], numbers: Numbers, key: str, rtol: float) -> bool:
    old, new = stored["numbers"].get(key), numbers.get(key)
    if old is None or new is None or len(old) != len(new):
        return False
    return bool(np.allclose(new, old, rtol=rtol, atol=rtol * float(np.abs(old).max())))


def _write(path: Path, version: int, numbers: Numbers) -> None:
    path.parent.mkdir(exist_ok=True)
    rounded = {key: [float(f"{v:.9g}") for v in values] for key, values in numbers.items()}
    path.write_text(json.dumps({"version": version, "numbers": rounded}, indent=1) + "\n")
