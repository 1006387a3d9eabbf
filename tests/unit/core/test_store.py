"""HDF5 files: what is written is read, and nothing else is taken for it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tending.core import store
from tending.core.estimates import Estimates
from tending.core.store import Scores, StoreError
from tending.models import checkpoint_record
from tending.models.checkpoint_record import Checkpoint

ARRAYS: dict[str, Any] = {
    "attention_ov": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "attention_ov_heads": np.arange(48, dtype=np.float32).reshape(2, 2, 3, 4),
    "held_out_loss": np.array([1.5, np.nan, 2.25]),
    "tokens": np.arange(6, dtype=np.int32).reshape(2, 3),
}
ATTRIBUTES: dict[str, Any] = {"model": "d64", "step": 16, "share": 0.25, "revision": "step16"}


def write(path: Path, **attributes: Any) -> Path:
    store.write_arrays(path, ARRAYS, {**ATTRIBUTES, **attributes})
    return path


def set_attribute(path: Path, name: str, value: Any) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value


def delete_attribute(path: Path, name: str) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs[name]


def test_arrays_and_attributes_come_back(tmp_path: Path) -> None:
    read = store.read_arrays(write(tmp_path / "a.h5"))
    assert set(read.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert read.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(read.arrays[name], array)
    assert {k: read.attributes[k] for k in ATTRIBUTES} == ATTRIBUTES


def test_a_file_says_what_wrote_it(tmp_path: Path) -> None:
    attributes = store.read_arrays(write(tmp_path / "a.h5")).attributes
    assert attributes["schema_version"] == store.SCHEMA_VERSION
    assert attributes["code_version"]
    assert f"numpy={np.__version__}" in attributes["libraries"].split()
    assert attributes["created"].endswith("+00:00")


def test_named_datasets_only(tmp_path: Path) -> None:
    read = store.read_arrays(write(tmp_path / "a.h5"), ["tokens"])
    assert list(read.arrays) == ["tokens"]


def test_a_missing_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"a\.h5 has no dataset 'spectra', only .*tokens"):
        store.read_arrays(write(tmp_path / "a.h5"), ["spectra"])


def test_layers_and_heads_are_read_one_at_a_time(tmp_path: Path) -> None:
    with store.Reader(write(tmp_path / "a.h5")) as file:
        assert file.shapes == {name: array.shape for name, array in ARRAYS.items()}
        assert file.attributes["model"] == "d64"
        np.testing.assert_array_equal(
            file.matrix("attention_ov_heads", (1, 0)), ARRAYS["attention_ov_heads"][1, 0]
        )
        np.testing.assert_array_equal(file.matrix("attention_ov", (1,)), ARRAYS["attention_ov"][1])
        np.testing.assert_array_equal(file.vector("held_out_loss"), ARRAYS["held_out_loss"])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["attention_ov_heads"].chunks == (1, 1, 3, 4)


def test_the_file_is_closed_after_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    with store.Reader(path):
        pass
    store.read_arrays(path)
    with h5py.File(path, "r+") as file:  # fails while a reader is open
        assert file


def readers(path: Path) -> None:
    for read in (store.read_arrays, store.read_scores, store.Reader):
        with pytest.raises(StoreError) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "run the workflow" in str(caught.value)


@pytest.mark.parametrize("version", [0, store.SCHEMA_VERSION + 1, "1"])
def test_another_schema_version_is_refused(tmp_path: Path, version: object) -> None:
    path = write(tmp_path / "a.h5")
    set_attribute(path, "schema_version", version)
    readers(path)


def test_a_file_without_a_version_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    delete_attribute(path, "schema_version")
    readers(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_half_written_file_is_refused(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "a.h5")
    os.truncate(path, int(share * path.stat().st_size))
    readers(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    readers(tmp_path / "a.h5")


# Atomic


class FailingError(Exception):
    """Something went wrong while arrays were handed over."""


class Failing(dict[str, Any]):
    """Arrays of which the second cannot be had."""

    def items(self) -> Any:
        yield "first", np.ones((2, 3))
        raise FailingError


def test_an_error_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    before = path.read_bytes()
    with pytest.raises(FailingError):
        store.write_arrays(path, Failing(), {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from tending.core import store

class Dying(dict):
    def items(self):
        yield "first", np.ones((200, 300))
        os.kill(os.getpid(), signal.SIGKILL)

store.write_arrays(Path(sys.argv[1]), Dying(), {"step": 1})
"""


def test_a_kill_in_the_middle_leaves_no_file_and_the_next_cleans_up(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    assert len(list(tmp_path.iterdir())) == 1
    write(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def contents(path: Path) -> dict[str, Any]:
    """Everything in a file but the time it was written."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        found[name] = item[()].tobytes() if isinstance(item, h5py.Dataset) else "group"
        found.update({f"{name}@{k}": v for k, v in item.attrs.items()})

    with h5py.File(path) as file:
        file.visititems(visit)
        found |= {f"@{k}": v for k, v in file.attrs.items() if k != "created"}
    return found


def test_the_same_input_gives_the_same_file_but_for_its_time(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a.h5"), write(tmp_path / "b.h5")
    assert contents(one) == contents(other)
    assert one.stat().st_size == other.stat().st_size
    differing = sum(a != b for a, b in zip(one.read_bytes(), other.read_bytes(), strict=True))
    assert differing <= len("2024-10-15T00:00:00.000000+00:00")  # no other time stamp in it


def test_attributes_of_a_checkpoint() -> None:
    checkpoint = Checkpoint(
        model="d64",
        step=16,
        revision="step16",
        commit="",
        folder="/somewhere",
        family="gpt_neox",
        parameters=1000,
        files={"model.safetensors": "00"},
        weights_sha256="ab",
        config={},
    )
    assert checkpoint_record.attributes("embedded", checkpoint) == {
        "study": "embedded",
        "model": "d64",
        "family": "gpt_neox",
        "parameters": 1000,
        "step": 16,
        "revision": "step16",
        "commit": "",
        "weights_sha256": "ab",
    }


# Scores


def activations(step: int, **changes: Any) -> dict[str, Any]:
    """Attributes of a file of activations."""
    return {
        "study": "embedded",
        "model": "d64",
        "step": step,
        "weights_sha256": f"weights {step}",
        "corpus_sha256": "corpus",
        "position": "last",
        "sequences": 128,
        "dtype": "float32",
        "created": f"2024-10-15T00:00:{step:02d}",
        "schema_version": 1,
        "code_version": "0.1",
        "libraries": "numpy=2",
        **changes,
    }


def estimates(values: Any) -> Estimates:
    """With errors and resamples that are told apart from the values and from each other."""
    numbers = [np.asarray(values, dtype=np.float64) + i / 8 for i in range(6)]
    draws = np.stack([numbers[0] - i for i in range(5)], axis=-1)
    return Estimates(*numbers, draws=draws.astype(np.float32))  # type: ignore[misc]


VALUES = {
    "cka": {"attention_ov": estimates([0.5, 1.0]), "attention_ov_heads": estimates(np.eye(2))},
    "cka_debiased": {"attention_ov": estimates([-0.25, np.nan])},
}
CODES = {"cka": "c1", "cka_debiased": "d1"}


def scored(path: Path) -> dict[str, Any]:
    attributes = store.score_attributes(activations(4), activations(16), "comparison")
    store.write_scores(path, Scores(VALUES, CODES, attributes))
    return attributes


def test_scores_come_back(tmp_path: Path) -> None:
    attributes = scored(tmp_path / "a.h5")
    read = store.read_scores(tmp_path / "a.h5")
    assert read.codes == CODES
    assert {m: set(v) for m, v in read.metrics.items()} == {m: set(v) for m, v in VALUES.items()}
    for metric, components in VALUES.items():
        for component, written in components.items():
            found = vars(read.metrics[metric][component])
            assert list(found) == list(vars(written))
            for name, values in vars(written).items():
                assert found[name].dtype == (np.float32 if name == "draws" else np.float64)
                np.testing.assert_array_equal(found[name], values)
    assert {k: read.attributes[k] for k in attributes} == attributes


def test_resamples_are_packed_by_layer_and_left_unread_on_request(tmp_path: Path) -> None:
    scored(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        draws = file["cka/attention_ov_heads/draws"]
        assert draws.chunks == (1, 2, 5) and draws.compression == "gzip"
    read = store.read_scores(tmp_path / "a.h5", draws=False).metrics["cka"]["attention_ov_heads"]
    assert read.draws.shape == (2, 2, 0)
    np.testing.assert_array_equal(read.value, np.eye(2))


def test_scores_without_errors_are_refused_and_not_kept(tmp_path: Path) -> None:
    """As they were written before they had any."""
    attributes = scored(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["cka/attention_ov"]
        file["cka/attention_ov"] = np.array([0.5, 1.0])
    with pytest.raises(StoreError, match=r"a\.h5 has scores without value, standard_error, .*run"):
        store.read_scores(tmp_path / "a.h5")
    assert store.kept_scores(tmp_path / "a.h5", attributes, CODES) == {}


def test_scores_say_what_was_compared() -> None:
    attributes = store.score_attributes(activations(4), activations(16), "comparison")
    assert attributes["step"] == 4 and attributes["reference_step"] == 16
    assert attributes["source_weights_sha256"] == "weights 4"
    assert attributes["reference_weights_sha256"] == "weights 16"
    assert attributes["comparison_code"] == "comparison"
    assert not {"created", "schema_version", "code_version", "libraries"} & set(attributes)


@pytest.mark.parametrize(
    "changes",
    [
        {"corpus_sha256": "another"},
        {"model": "d128"},
        {"position": "all"},
        {"sequences": 64},
        {"dtype": "bfloat16"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_activations_that_were_not_taken_alike_are_refused(changes: dict[str, Any]) -> None:
    ((name, value),) = changes.items()
    with pytest.raises(StoreError, match=f"step 4 has {name} .*step 16 has {value}; delete"):
        store.score_attributes(activations(4), activations(16, **changes), "comparison")


def test_all_scores_are_kept_while_nothing_changes(tmp_path: Path) -> None:
    attributes = scored(tmp_path / "a.h5")
    kept = store.kept_scores(tmp_path / "a.h5", attributes, CODES)
    assert set(kept) == set(CODES)
    for name, values in vars(VALUES["cka"]["attention_ov"]).items():
        np.testing.assert_array_equal(getattr(kept["cka"]["attention_ov"], name), values)


def test_scores_of_a_changed_metric_are_not_kept(tmp_path: Path) -> None:
    attributes = scored(tmp_path / "a.h5")
    path = tmp_path / "a.h5"
    assert set(store.kept_scores(path, attributes, {**CODES, "cka": "c2"})) == {"cka_debiased"}
    assert set(store.kept_scores(path, attributes, {"cka": "c1"})) == {"cka"}
    assert set(store.kept_scores(path, attributes, {**CODES, "new": "n1"})) == set(CODES)


@pytest.mark.parametrize("side", [0, 1], ids=["source", "reference"])
@pytest.mark.parametrize(
    "changes",
    [{"weights_sha256": "other"}, {"created": "later"}],
    ids=lambda changes: next(iter(changes)),
)
def test_scores_of_other_activations_are_not_kept(
    tmp_path: Path, side: int, changes: dict[str, Any]
) -> None:
    scored(tmp_path / "a.h5")
    sides = [activations(4), activations(16)]
    sides[side] |= changes
    attributes = store.score_attributes(sides[0], sides[1], "comparison")
    assert store.kept_scores(tmp_path / "a.h5", attributes, CODES) == {}


@pytest.mark.parametrize(
    "changes",
    [{"corpus_sha256": "other"}, {"position": "all"}, {"sequences": 64}, {"dtype": "bfloat16"}],
    ids=lambda changes: next(iter(changes)),
)
def test_scores_of_another_extraction_are_not_kept(tmp_path: Path, changes: dict[str, Any]) -> None:
    scored(tmp_path / "a.h5")
    both = activations(4, **changes), activations(16, **changes)
    attributes = store.score_attributes(*both, "comparison")
    assert store.kept_scores(tmp_path / "a.h5", attributes, CODES) == {}


def test_scores_of_another_comparison_or_reference_are_not_kept(tmp_path: Path) -> None:
    scored(tmp_path / "a.h5")
    path = tmp_path / "a.h5"
    other_code = store.score_attributes(activations(4), activations(16), "changed")
    other_reference = store.score_attributes(activations(4), activations(8), "comparison")
    assert store.kept_scores(path, other_code, CODES) == {}
    assert store.kept_scores(path, other_reference, CODES) == {}


def test_nothing_is_kept_of_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    attributes = scored(path)
    assert store.kept_scores(tmp_path / "none.h5", attributes, CODES) == {}
    os.truncate(path, path.stat().st_size // 2)
    assert store.kept_scores(path, attributes, CODES) == {}
    scored(path)
    set_attribute(path, "schema_version", 99)
    assert store.kept_scores(path, attributes, CODES) == {}


# Token matrices of the user's own

MATRIX = np.arange(20, dtype=np.uint16).reshape(4, 5)


def test_a_token_matrix_from_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", MATRIX)
    np.testing.assert_array_equal(store.read_matrix(tmp_path / "rows.npy"), MATRIX)


@pytest.mark.parametrize("names", [["rows"], ["tokens"], ["other", "tokens"]])
def test_a_token_matrix_from_hdf5(tmp_path: Path, names: list[str]) -> None:
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        for name in names:
            file[name] = MATRIX if name == names[-1] else MATRIX + 1
        file.create_group("not a dataset")
    np.testing.assert_array_equal(store.read_matrix(tmp_path / "rows.h5"), MATRIX)


@pytest.mark.parametrize("names", [[], ["a", "b"]])
def test_which_dataset_is_meant_is_asked(tmp_path: Path, names: list[str]) -> None:
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        for name in names:
            file[name] = MATRIX
    listed = ", ".join(names) or r"\(none\)"
    with pytest.raises(StoreError, match=f"holds the datasets {listed}; expected one"):
        store.read_matrix(tmp_path / "rows.h5")


@pytest.mark.parametrize("name", ["rows.npy", "rows.h5"])
def test_a_damaged_token_matrix_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a matrix" * 10)
    with pytest.raises(StoreError, match=name.replace(".", r"\.")):
        store.read_matrix(tmp_path / name)


def test_objects_in_npy_are_refused(tmp_path: Path) -> None:
    """An array of objects is a pickle, which may hold code."""
    np.save(tmp_path / "rows.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match=r"rows\.npy"):
        store.read_matrix(tmp_path / "rows.npy")
