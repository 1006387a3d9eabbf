"""Parameters that Snakemake is told once are those that it would find at every call."""

import inspect
from typing import Any

from snakemake.common import get_function_params, get_input_function_aux_params
from snakemake.resources import Resource

from tending.core import snakemake_calls


@snakemake_calls.all_noted
class Rules:
    """With a function that rules call, and one that they do not."""

    def memory(self, wildcards: Any, attempt: int) -> int:
        """For a rule."""
        return attempt

    def other(self, number: int) -> int:
        """For nobody."""
        return number


def test_what_is_noted_is_what_snakemake_takes() -> None:
    """Under another name of the attribute Snakemake would look the parameters up, more slowly."""
    noted = getattr(Rules.memory, snakemake_calls.ATTRIBUTE)
    assert noted == inspect.signature(Rules.memory).parameters
    assert get_function_params(Rules().memory) is noted
    assert not hasattr(Rules.other, snakemake_calls.ATTRIBUTE)


def test_functions_are_given_the_same_arguments() -> None:
    given = {"attempt": 2, "threads": 1, "input": []}
    assert get_input_function_aux_params(Rules().memory, given) == {"attempt": 2}


def test_resources_are_evaluated_as_before() -> None:
    given = {"attempt": 2, "rulename": "r", "input": [], "async_run": None}
    resource = Resource("mem_mb", lambda wildcards, attempt: 100 * attempt)
    before = get_input_function_aux_params(resource.evaluate, given)
    snakemake_calls.note_resources(resource)
    assert hasattr(resource.evaluate, snakemake_calls.ATTRIBUTE)
    assert get_input_function_aux_params(resource.evaluate, given) == before == given
    assert resource.evaluate(None, **given).value == 200
