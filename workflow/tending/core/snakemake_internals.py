"""Everything of Snakemake that is not in its documentation and that tending relies on.

- The attribute from which Snakemake takes a function's parameters. It looks up a signature twice
  at each call, an eighth of the time that planning a long study took. Without the attribute, or in
  a version that does not know it, planning is only slower.
- Where it notes what it knows of a file: `.snakemake/metadata` and `.snakemake/incomplete`, under a
  name in base 64, with the id of the job of an executor plug-in.
- What a running scheduler and its graph of jobs say of themselves.

`tests/unit/core/test_snakemake_internals.py` fails for each that a new version moves.
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
JOB_ID = "external_jobid"  # in a note on an incomplete file: the job at an executor plug-in

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


def noted(function: F) -> F:
    """The function itself, its parameters noted."""
    with suppress(AttributeError):  # not every callable has attributes
        setattr(function, ATTRIBUTE, inspect.signature(function).parameters)
    return function


def all_noted(cls: C) -> C:
    """A class whose methods that rules call, those of wildcards, have their parameters noted."""
    for member in vars(cls).values():
        if inspect.isfunction(member) and "wildcards" in inspect.signature(member).parameters:
            noted(member)
    return cls


def note_resources(resource: object) -> None:
    """The method by which Snakemake evaluates each resource of each job; resource: any of them."""
    evaluate = getattr(type(resource), "evaluate", None)
    if evaluate is not None:
        noted(evaluate)


def note(place: Path, path: Path) -> Path:
    """The file in METADATA or INCOMPLETE that is about `path`: base 64, cut into folders."""
    name = urlsafe_b64encode(str(path).encode()).decode()
    longest = (os.pathconf(place, "PC_NAME_MAX") if place.exists() else 255) - 1
    pieces = [name[i : i + longest] for i in range(0, len(name), longest)]
    return place.joinpath(*(f"@{piece}" for piece in pieces[:-1]), pieces[-1])


def ending(scheduler: Any) -> bool:
    """Whether the scheduler starts no more jobs: it was stopped by SIGTERM, or a job failed."""
    stopped = scheduler._user_kill is not None
    return stopped or bool(scheduler.failed and not scheduler.keepgoing)


def given_up(scheduler: Any) -> set[Any]:
    """Failed jobs, single ones also of groups, and all jobs that need their output."""
    depending = scheduler.workflow.dag.depending
    lost: set[Any] = set()
    queue = [one for job in scheduler.failed for one in (job.jobs if job.is_group() else [job])]
    while queue:
        job = queue.pop()
        if job not in lost:
            lost.add(job)
            queue += depending.get(job, ())
    return lost
