"""Jobs that a killed run has left in SLURM's queue: nothing waits for them any more.

Snakemake's metadata on an unfinished file names the job that makes it, until that job has ended. A
new run does not take over such jobs; it would start the same work alongside them.
"""

import json
import logging
import shutil
import subprocess
import time
from pathlib import Path

from tending.core.snakemake_internals import JOB_ID

SCANCEL, SQUEUE = "scancel", "squeue"
ENDS_WITHIN, POLL_SECONDS = 90, 1.0  # SLURM lets a job 30 s by default to end by itself

logger = logging.getLogger("tending")


def cancel(markers: Path) -> list[str]:
    """Cancel the jobs named in Snakemake's folder of incomplete files, and wait until they end.

    Returns their ids. Without SLURM on this machine, or without such jobs, nothing is done; if
    SLURM does not answer, a warning names the jobs to look for.
    """
    wanted = _noted(markers)
    if not wanted or shutil.which(SCANCEL) is None:
        return []
    try:
        alive = _alive(wanted)
        if alive:
            _run(SCANCEL, *alive)
            _await_end(alive)
    except (subprocess.SubprocessError, OSError) as error:
        logger.warning(
            "Jobs of the killed run may still be in SLURM's queue, which does not answer (%s); "
            "look with squeue for %s and cancel them",
            error,
            ", ".join(wanted),
        )
        return []
    return alive


def _noted(markers: Path) -> list[str]:
    """Return the job ids in the files below a folder, skipping files without one."""
    found = set()
    for file in markers.rglob("*") if markers.is_dir() else ():
        try:
            job = json.loads(file.read_text("utf-8")).get(JOB_ID)
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(job, str) and job.isdigit():
            found.add(job)
    return sorted(found, key=int)


def _alive(jobs: list[str]) -> list[str]:
    """Return those of these jobs that are in the user's own queue, waiting or running."""
    listed = _run(SQUEUE, "--me", "--noheader", "--format=%A")
    return [job for job in jobs if job in listed.split()]


def _await_end(jobs: list[str]) -> None:
    ends = time.monotonic() + ENDS_WITHIN
    while _alive(jobs):
        if time.monotonic() > ends:
            raise TimeoutError(f"they did not end within {ENDS_WITHIN} s")
        time.sleep(POLL_SECONDS)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout
