"""Recovery after a killed run: the same command works again, with nothing to unlock.

Snakemake locks the working directory with files that a killed process leaves behind. Every run
of this workflow also holds a shared lock that the kernel drops when the process dies, however it
dies. Who gets it exclusively knows that no other run is alive, and that any lock files are stale.
"""

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO

from tending.job import RUN_VARIABLE

_held: list[IO[str]] = []  # open as long as the process lives


def take(folder: Path = Path(".snakemake")) -> bool:
    """Join the runs in a working directory; True if stale lock files were removed.

    Called when the workflow is read by its main process, before Snakemake takes its own lock.
    """
    os.environ[RUN_VARIABLE] = str(os.getpid())
    folder.mkdir(exist_ok=True)
    file = (folder / "tending.lock").open("w")
    _held.append(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(file, fcntl.LOCK_SH)
        return False
    locks = folder / "locks"
    stale = locks.is_dir() and any(locks.iterdir())
    if stale:
        shutil.rmtree(locks)
        locks.mkdir()
    fcntl.flock(file, fcntl.LOCK_SH)
    return stale
