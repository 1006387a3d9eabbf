"""Outputs of a killed run's jobs that ended when no process was left to record their settings.

Snakemake's main process records the settings behind each file after its job has ended. A job that
ends after the main process was killed, as those on a cluster do, leaves a file without such a
record, or with one of earlier settings; Snakemake accepts it as it is, and a change of settings
would not rebuild it. Such files are marked as incomplete, so that the next run rebuilds them.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from tending.core import paths
from tending.core.snakemake_internals import INCOMPLETE, JOB_ID, METADATA, note

CLOCKS_DIFFER_BY = 60  # seconds, at most, among the machines of a cluster


def mark(folder: Path, since: float) -> list[Path]:
    """Mark the files made since a time, in seconds, but not recorded; return relative paths.

    folder: Snakemake's, in the working directory.
    """
    found = [path for path in _made(folder.parent, since) if not _recorded(folder, path)]
    for path in found:
        marker = note(folder / INCOMPLETE, path)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps({JOB_ID: None}), "utf-8")
    return found


def _made(root: Path, since: float) -> Iterator[Path]:
    """Yield the files of any study, as jobs name them, that are newer than a time."""
    constants = (value for name, value in vars(paths).items() if name.isupper())
    for pattern in sorted(c for c in constants if isinstance(c, str)):
        for file in root.glob(re.sub(r"\{\w+\}", "*", pattern)):
            if file.is_file() and not file.name.startswith(".") and file.stat().st_mtime >= since:
                yield file.relative_to(root)


def _recorded(folder: Path, path: Path) -> bool:
    """Whether this file has a record that does not belong to an earlier version of it."""
    record = note(folder / METADATA, path)
    if not record.exists():
        return False
    made = (folder.parent / path).stat().st_mtime
    return record.stat().st_mtime + CLOCKS_DIFFER_BY >= made
