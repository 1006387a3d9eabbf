"""What a killed run did not record is marked, as Snakemake marks it, and nothing else."""

import os
import time
from pathlib import Path

import pytest
from snakemake.persistence.file import FilePersistence

from tending.run import unrecorded_outputs

START = time.time() - 3600  # of the killed run
PRODUCT = "results/s/activations/m/step1.h5"


def write(root: Path, path: str, minutes: float) -> Path:
    """A file of so many minutes after the start."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("something")
    os.utime(file, (START + 60 * minutes,) * 2)
    return file


def snakemakes(root: Path, subject: str, path: str) -> Path:
    """Where Snakemake itself keeps its note of a file."""
    (root / ".snakemake" / subject).mkdir(parents=True, exist_ok=True)
    own = FilePersistence.__new__(FilePersistence)
    own._max_len = None
    return Path(own._record_path(str(root / ".snakemake" / subject), path))


@pytest.mark.parametrize("model", ["m", "a-name-" + "x" * 200])
def test_a_file_without_a_record_is_marked_where_snakemake_looks(
    tmp_path: Path, model: str
) -> None:
    path = PRODUCT.replace("/m/", f"/{model}/")
    write(tmp_path, path, minutes=1)
    assert unrecorded_outputs.mark(tmp_path / ".snakemake", START) == [Path(path)]
    assert snakemakes(tmp_path, "incomplete", path).read_text() == '{"external_jobid": null}'


@pytest.mark.parametrize(("recorded_at", "marked"), [(11, False), (9.5, False), (-60, True)])
def test_a_record_counts_if_it_is_of_this_file(
    tmp_path: Path, recorded_at: float, marked: bool
) -> None:
    """Clocks differ by some seconds; a record of other settings is much older than the file."""
    write(tmp_path, PRODUCT, minutes=10)
    record = snakemakes(tmp_path, "metadata", PRODUCT)
    write(record.parent, record.name, minutes=recorded_at)
    assert bool(unrecorded_outputs.mark(tmp_path / ".snakemake", START)) == marked


@pytest.mark.parametrize(
    ("path", "minutes"),
    [
        (PRODUCT, -1),  # of an earlier run
        ("results/s/logs/activations/m/step1.log", 1),
        ("results/s/benchmarks/activations/m/step1.tsv", 1),
        ("results/s/activations/m/.step1.0f.partial.h5", 1),
        ("results/s/training/m/step1/model.safetensors", 1),
        ("results/s/weights/m/step1/model.safetensors", 1),
        ("notes/activations/m/step1.h5", 1),
    ],
)
def test_what_is_no_new_result_is_left_alone(tmp_path: Path, path: str, minutes: float) -> None:
    write(tmp_path, path, minutes)
    assert unrecorded_outputs.mark(tmp_path / ".snakemake", START) == []
