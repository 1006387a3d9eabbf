"""Snakemake is as `snakemake_internals` takes it to be; a version that is not fails here."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import snakemake.api  # noqa: F401, before the others, which import each other
from snakemake.common import get_function_params, get_input_function_aux_params
from snakemake.dag import DAG
from snakemake.persistence.file import FilePersistence
from snakemake.resources import Resource
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.workflow import Workflow

from tending.core import snakemake_internals
from tending.core.snakemake_internals import INCOMPLETE, JOB_ID, LOCKS, METADATA


@snakemake_internals.all_noted
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
    noted = getattr(Rules.memory, snakemake_internals.ATTRIBUTE)
    assert noted == inspect.signature(Rules.memory).parameters
    assert get_function_params(Rules().memory) is noted
    assert not hasattr(Rules.other, snakemake_internals.ATTRIBUTE)


def test_functions_are_given_the_same_arguments() -> None:
    given = {"attempt": 2, "threads": 1, "input": []}
    assert get_input_function_aux_params(Rules().memory, given) == {"attempt": 2}


def test_resources_are_evaluated_as_before() -> None:
    given = {"attempt": 2, "rulename": "r", "input": [], "async_run": None}
    resource = Resource("mem_mb", lambda wildcards, attempt: 100 * attempt)
    before = get_input_function_aux_params(resource.evaluate, given)
    snakemake_internals.note_resources(resource)
    assert hasattr(resource.evaluate, snakemake_internals.ATTRIBUTE)
    assert get_input_function_aux_params(resource.evaluate, given) == before == given
    assert resource.evaluate(None, **given).value == 200


@pytest.mark.parametrize("path", ["results/s/spectra/m/step1.h5", f"results/{'long' * 100}.h5"])
@pytest.mark.parametrize("folder", [METADATA, INCOMPLETE])
def test_notes_on_files_lie_where_snakemake_puts_them(
    path: str, folder: str, tmp_path: Path
) -> None:
    (tmp_path / folder).mkdir()
    persistence = FilePersistence.__new__(FilePersistence)
    persistence._max_len = None
    own = persistence._record_path(str(tmp_path / folder), path)
    assert snakemake_internals.note(tmp_path / folder, Path(path)) == Path(own)


def test_folders_and_the_key_of_a_job_are_snakemakes() -> None:
    text = inspect.getsource(FilePersistence)
    for name in (METADATA, INCOMPLETE, LOCKS):
        assert f'"{name}"' in text, f"Snakemake's persistence has no folder {name!r}"
    assert JOB_ID in text, "notes on incomplete files have another key"


@pytest.mark.parametrize(
    ("made_by", "names"),
    [
        (JobScheduler.__init__, ["_user_kill", "failed", "keepgoing", "running", "workflow"]),
        (DAG.__init__, ["depending"]),
    ],
)
def test_the_scheduler_and_the_graph_have_what_is_read(made_by: Any, names: list[str]) -> None:
    source = inspect.getsource(made_by)
    missing = [name for name in names if not re.search(rf"self\.{name} = ", source)]
    assert not missing, f"{made_by.__qualname__} sets no {missing} any more"


@pytest.mark.parametrize(
    "name", ["dag", "global_resources", "is_main_process", "output_settings", "scheduler"]
)
def test_the_workflow_has_what_the_snakefile_reads(name: str) -> None:
    known = {*dir(Workflow), *re.findall(r"self\.(\w+)\b[^=\n]*= ", inspect.getsource(Workflow))}
    known |= {*Workflow.__dataclass_fields__}
    assert name in known, f"Snakemake's Workflow has no {name}"
