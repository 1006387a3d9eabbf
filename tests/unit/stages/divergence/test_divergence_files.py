"""Divergences through the scripts, from checkpoints to the table, and whose file is refused."""

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tiny

from tending.core import store
from tending.core.store import StoreError
from tending.core.tables import Where
from tending.models import checkpoint_record
from tending.stages.divergence import divergence_rows
from tending.tables import divergence as divergence_table

SCRIPTS = Path(__file__).parents[4] / "workflow" / "scripts"
LENGTH, SEQUENCES = 8, 6
HERE = Where("s", "m", 7, 4, 0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Records of the steps 0 and 4 of a model, and tokens."""
    for step in (0, 4):
        checkpoint = tiny.save(tiny.model("gpt_neox", seed=step), tmp_path / f"step{step}")
        record = checkpoint_record.inspect(checkpoint, "m", step, f"step{step}")
        checkpoint_record.write(record, tmp_path / f"{step}.json")
    described = {"corpus_sha256": "of the corpus"}
    store.write_arrays(tmp_path / "tokens.h5", {"tokens": tiny.tokens(9, LENGTH)}, described)
    return tmp_path


def main(script: str, folder: Path, **arguments: Any) -> None:
    usual = {
        "tokens": folder / "tokens.h5",
        "sequences": SEQUENCES,
        "positions": 4,
        "batch_size": 4,
        "device": "cpu",
        "dtype": "float32",
        "study": "s",
        "keep": True,
    }
    runpy.run_path(str(SCRIPTS / f"{script}.py"))["main"](**{**usual, **arguments})


def refer(folder: Path, step: int = 4, count: int = 47, **arguments: Any) -> Path:
    output = folder / "reference.h5"
    record = folder / f"{step}.json"
    main("reference_distribution", folder, record=record, count=count, output=output, **arguments)
    return output


def compare(folder: Path, step: int, **arguments: Any) -> store.Arrays:
    output = folder / f"{step}.h5"
    files = {"record": folder / f"{step}.json", "reference_record": folder / "4.json"}
    main(
        "divergence",
        folder,
        **{**files, "reference": folder / "reference.h5", "output": output, **arguments},
    )
    return store.read_arrays(output)


def test_from_checkpoints_to_the_table(folder: Path) -> None:
    refer(folder)
    read = {step: compare(folder, step) for step in (0, 4)}
    for step, found in read.items():
        assert set(found.arrays) == {"kl_to_reference", "kl_to_reference_reversed"}
        for values in found.arrays.values():
            assert values.shape == (SEQUENCES, 4) and values.dtype == np.float64
            assert (values == 0).all() if step == 4 else (values > 0).all()
        assert found.attributes["step"] == step and found.attributes["reference_step"] == 4
        assert found.attributes["positions"] == "1 3 5 7"
        assert found.attributes["vocabulary"] == 47
    files = [folder / f"{step}.h5" for step in (0, 4)]
    table = divergence_table.table(files, {"m": 4}).set_index(["step", "quantity"])
    assert len(table) == 8 and set(table["n"]) == {SEQUENCES}
    value = read[0].arrays["kl_to_reference"].mean()
    assert table.loc[(0, "kl_to_reference"), "value"] == pytest.approx(value)
    assert table.loc[(4, "kl_to_reference"), "value"] == 0
    assert table.loc[(4, "kl_to_reference"), "progress"] == 1


def test_a_file_of_the_reference_says_what_it_is_of(folder: Path) -> None:
    with h5py.File(refer(folder)) as file:
        assert list(file) == ["logits"]
        assert file["logits"].shape == (SEQUENCES * 4, 47) and file["logits"].dtype == np.float32
        record = checkpoint_record.read(folder / "4.json")
        assert file.attrs["weights_sha256"] == record.weights_sha256
        assert (file.attrs["model"], file.attrs["step"]) == ("m", 4)


@pytest.mark.parametrize(
    ("made", "asked", "problem"),
    [
        ({"step": 0}, {}, "has step 0, but 4 is wanted of the reference, step 4 of m; delete it"),
        ({"positions": 2}, {}, "has positions 3 7, but 1 3 5 7 is wanted"),
        ({"sequences": 5}, {}, "has sequences 5, but 6 is wanted"),
        ({"dtype": "bfloat16"}, {}, "has dtype bfloat16, but float32 is wanted"),
    ],
    ids=["step", "positions", "sequences", "dtype"],
)
def test_another_reference_is_refused(
    folder: Path, made: dict[str, Any], asked: dict[str, Any], problem: str
) -> None:
    refer(folder, **made)
    with pytest.raises(StoreError, match=problem):
        compare(folder, 0, **asked)
    assert not (folder / "0.h5").exists()


def test_other_weights_and_other_tokens_are_refused(folder: Path) -> None:
    reference = refer(folder)
    record = checkpoint_record.read(folder / "4.json")
    checkpoint_record.write(replace(record, weights_sha256="others"), folder / "others.json")
    with pytest.raises(StoreError, match=r"reference.h5 has weights_sha256 .* but others is want"):
        compare(folder, 0, reference_record=folder / "others.json")
    with h5py.File(reference, "r+") as file:
        file.attrs["corpus_sha256"] = "of another"
    with pytest.raises(StoreError, match=r"has corpus_sha256 of another, but of the corpus is"):
        compare(folder, 0)


def test_a_vocabulary_larger_than_the_head_is_cut(folder: Path) -> None:
    refer(folder, count=60)
    assert compare(folder, 4).attributes["vocabulary"] == 50


def test_parts_of_a_dataset(tmp_path: Path) -> None:
    rows = np.arange(12.0).reshape(6, 2)
    store.write_arrays(tmp_path / "a.h5", {"logits": rows}, {})
    with store.Reader(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file.part("logits", 2, 5), rows[2:5])


# Rows of the table


def test_the_error_is_over_sequences() -> None:
    """Four sequences of means 1, 2, 3, 6: variance 14 / 3; Student's 3.1824 for 3 degrees."""
    values = np.array([[1.0, 1.0], [1.0, 3.0], [3.0, 3.0], [4.0, 8.0]])
    found, error = divergence_rows.blocks(HERE, {"kl_to_reference": values})
    assert (found["quantity"], found["value"], found["n"]) == ("kl_to_reference", 3.0, [4])
    assert error["quantity"] == "kl_to_reference_standard_error"
    assert error["value"] == pytest.approx(np.sqrt(14 / 3) / 2)
    assert found["high"] == pytest.approx(3 + 3.182446305 * error["value"])
    assert found["low"] == 0, "the interval would begin at -0.44"


def test_no_divergence_and_a_single_sequence() -> None:
    none, error = divergence_rows.blocks(HERE, {"kl": np.zeros((5, 2))})
    assert none["value"] == none["low"] == none["high"] == error["value"] == 0
    one, error = divergence_rows.blocks(HERE, {"kl": np.ones((1, 2))})
    assert one["value"] == 1
    assert np.isnan([one["low"], one["high"], error["value"]]).all()
