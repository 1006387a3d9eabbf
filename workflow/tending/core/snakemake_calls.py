"""What Snakemake need not look up anew for every job: the parameters of the functions it calls.

It asks for a function's signature twice at each call, which was an eighth of the time that planning
a long study took. It takes the answer from an attribute where there is one; without it, or in a
version that does not know the attribute, planning is only slower.
"""

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

ATTRIBUTE = "_overwrite_params"  # of snakemake.common.get_function_params

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
