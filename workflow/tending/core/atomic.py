"""Atomic file writes: under a temporary name, synced, then renamed."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` if the block succeeds.

    Partial files that earlier, killed writers of the same file left behind are removed, so that a
    study's folder holds results only. If such a writer is still alive after all, as a job may be
    that its scheduler lost track of, it fails, and harms no other file. The block writes and
    closes the file; it is flushed to disk here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    own = re.compile(rf"\.{re.escape(path.stem)}\.[0-9a-f]+\.partial{re.escape(path.suffix)}")
    for stale in path.parent.iterdir():
        if own.fullmatch(stale.name):
            stale.unlink(missing_ok=True)
    # Not a process id, which is not unique: cluster jobs write from several machines.
    partial = path.parent / f".{path.stem}.{secrets.token_hex(8)}.partial{path.suffix}"
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
