"""Files that are whole or not there: written under another name, synced, renamed."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that becomes `path` if the block ends well.

    What earlier, killed writers of the same file left behind is removed, so that a study's folder
    holds results only; a writer that is alive all the same, as a job may be that a scheduler lost
    sight of, then fails, and what it has read and written harms nobody. The block writes and closes
    the file; it is flushed to disk here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    own = re.compile(rf"\.{re.escape(path.stem)}\.[0-9a-f]+\.partial{re.escape(path.suffix)}")
    for stale in path.parent.iterdir():
        if own.fullmatch(stale.name):
            stale.unlink(missing_ok=True)
    # Process ids would not do: jobs of a cluster write from several machines.
    partial = path.parent / f".{path.stem}.{secrets.token_hex(8)}.partial{path.suffix}"
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file or nothing."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
