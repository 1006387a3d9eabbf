"""Undocumented features of Snakemake that tending relies on.

- The attribute from which Snakemake reads a function's parameters. Otherwise it inspects the
  signature twice at each call, which took an eighth of the time of planning a long study. Without
  the attribute, or in a version that does not know it, planning is only slower.
- The places where it keeps metadata on files: `.snakemake/metadata` and `.snakemake/incomplete`,
  under a name in base 64, with the job id of an executor plug-in.
- The state of a running scheduler and of its graph of jobs.

`tests/unit/core/test_snakemake_internals.py` fails for each of them that a new version moves.
"""

import inspect
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

ATTRIBUTE = "_overwrite_params"  # of snakemake.common.get_function_params
METADATA, INCOMPLETE, LOCKS = "metadata", "incomplete", "locks"  # folders in .snakemake
JOB_ID = "external_jobid"  # in the metadata of an incomplete file: the executor's job id

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


def noted(function: F) -> F:
    """Return the function itself, with its parameters cached in the attribute."""
    with suppress(AttributeError):  # not every callable has attributes
        setattr(function, ATTRIBUTE, inspect.signature(function).parameters)
    return function


def all_noted(cls: C) -> C:
    """Cache the parameters of the methods of a class that rules call, those with `wildcards`."""
    for member in vars(cls).values():
        if inspect.isfunction(member) and "wildcards" in inspect.signature(member).parameters:
            noted(member)
    return cls


def note_resources(resource: object) -> None:
    """Cache the parameters of the method that evaluates resources; resource: any of Snakemake's."""
    evaluate = getattr(type(resource), "evaluate", None)
    if evaluate is not None:
        noted(evaluate)


def note(place: Path, path: Path) -> Path:
    """Return the file on `path` in METADATA or INCOMPLETE: base 64, split into folders."""
    name = urlsafe_b64encode(str(path).encode()).decode()
    longest = (os.pathconf(place, "PC_NAME_MAX") if place.exists() else 255) - 1
    pieces = [name[i : i + longest] for i in range(0, len(name), longest)]
    return place.joinpath(*(f"@{piece}" for piece in pieces[:-1]), pieces[-1])


def ending(scheduler: Any) -> bool:
    """Whether the scheduler starts no more jobs, after a SIGTERM or a failed job."""
    stopped = scheduler._user_kill is not None
    return stopped or bool(scheduler.failed and not scheduler.keepgoing)


def given_up(scheduler: Any) -> set[Any]:
    """Return the failed jobs, including those inside groups, and all that need their output."""
    depending = scheduler.workflow.dag.depending
    lost: set[Any] = set()
    queue = [one for job in scheduler.failed for one in (job.jobs if job.is_group() else [job])]
    while queue:
        job = queue.pop()
        if job not in lost:
            lost.add(job)
            queue += depending.get(job, ())
    return lost
