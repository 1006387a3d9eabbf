"""Recovery after a killed run: the same command works again, with nothing to unlock.

Snakemake locks the working directory with files that a killed process leaves behind. Every run
of this workflow also holds a shared lock that the kernel releases when the process dies, however
it dies. A run that gets it exclusively knows that no other run is alive, and that any lock files
are stale; jobs that the killed run left in a scheduler's queue are then cancelled, and their
outputs that it could not record are rebuilt.
"""

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO

from tending.core.snakemake_internals import INCOMPLETE, LOCKS
from tending.run import slurm_orphans, unrecorded_outputs
from tending.run.job import RUN_VARIABLE, here

_held: list[IO[str]] = []  # open as long as the process lives


def take(folder: Path = Path(".snakemake")) -> bool:
    """Join the runs in a working directory; return True if stale lock files were removed.

    Called when the main process reads the workflow, before Snakemake takes its own lock.
    """
    os.environ[RUN_VARIABLE] = f"{here()} {os.getpid()}"
    folder.mkdir(exist_ok=True)
    file = (folder / "tending.lock").open("a")  # its mtime is the start of the first run alive
    _held.append(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(file, fcntl.LOCK_SH)
        return False
    locks = folder / LOCKS
    stale = locks.is_dir() and any(locks.iterdir())
    if stale:
        slurm_orphans.cancel(folder / INCOMPLETE)
        unrecorded_outputs.mark(folder, since=Path(file.name).stat().st_mtime)
        shutil.rmtree(locks)
        locks.mkdir()
    os.utime(file.name)
    fcntl.flock(file, fcntl.LOCK_SH)
    return stale
