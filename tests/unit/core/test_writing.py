"""Files written batch by batch and read block by block."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tending.core import store
from tending.core.store import StoreError

SHAPES = {"attention_ov": (2,), "attention_ov_heads": (2, 3), "embedding": ()}
ROWS, WIDTH = 23, 5


def arrays(rows: int = ROWS) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {
        name: rng.normal(size=(*outer, rows, WIDTH)).astype(np.float32)
        for name, outer in SHAPES.items()
    }
    return made | {store.LOSS: rng.normal(size=rows)}


def batches(made: dict[str, Any], sizes: list[int]) -> Any:
    begin = 0
    for size in sizes:
        part = slice(begin, begin + size)
        for name, array in made.items():
            yield name, array[part] if array.ndim == 1 else array[..., part, :]
        begin += size


def write(path: Path, sizes: list[int], rows: int = ROWS) -> dict[str, Any]:
    made = arrays()
    with store.writing(path, {"step": 16}, rows) as writer:
        for name, part in batches(made, sizes):
            writer.append(name, part)
    return made


@pytest.mark.parametrize("sizes", [[23], [8, 8, 7], [1] * 23, [4, 2, 2, 15]])
def test_batches_come_back_as_they_would_whole(tmp_path: Path, sizes: list[int]) -> None:
    made = write(tmp_path / "a.h5", sizes)
    read = store.read_arrays(tmp_path / "a.h5")
    assert set(read.arrays) == set(made)
    for name, array in made.items():
        assert read.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(read.arrays[name], array)
    assert read.attributes["step"] == 16 and read.attributes["created"]


def test_layers_and_heads_have_their_own_chunks_of_a_batchs_rows(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", [8, 8, 7])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["attention_ov"].chunks == (1, 8, WIDTH)
        assert file["attention_ov_heads"].chunks == (1, 1, 8, WIDTH)
        assert file["embedding"].chunks == (8, WIDTH)


def test_chunks_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHUNK_BYTES", 3 * WIDTH * 4)
    made = write(tmp_path / "a.h5", [20, 3])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["attention_ov"].chunks == (1, 3, WIDTH)
    np.testing.assert_array_equal(
        store.read_arrays(tmp_path / "a.h5").arrays["attention_ov"], made["attention_ov"]
    )


def test_published_arrays_have_their_own_datasets(tmp_path: Path) -> None:
    with store.writing(tmp_path / "a.h5", {}, 4) as writer:
        writer.append("attention_ov", np.ones((2, 4, 3), np.float32))
        writer.append("attention_ov", np.zeros((2, 4, 3), np.float32), published=True)
    read = store.read_arrays(tmp_path / "a.h5").arrays
    assert read["attention_ov"].all() and not read["attention_ov__published"].any()


def test_the_same_batches_give_the_same_bytes_but_for_the_time(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write(tmp_path / name, [8, 8, 7])
    one, other = ((tmp_path / name).read_bytes() for name in ("a.h5", "b.h5"))
    differing = sum(a != b for a, b in zip(one, other, strict=True))
    assert differing <= len("2024-10-15T00:00:00.000000+00:00")


@pytest.mark.parametrize("sizes", [[8], [8, 8]])
def test_rows_that_are_not_given_leave_no_file(tmp_path: Path, sizes: list[int]) -> None:
    with pytest.raises(StoreError, match=rf"{sum(sizes)} rows were written, 23 expected"):
        write(tmp_path / "a.h5", sizes)
    assert list(tmp_path.iterdir()) == []


def test_more_rows_than_promised_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="23 rows were written, 20 expected"):
        write(tmp_path / "a.h5", [8, 8, 7], rows=20)
    assert list(tmp_path.iterdir()) == []


def test_an_error_between_batches_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, [23])
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), store.writing(path, {}, 4) as writer:
        writer.append("mlp_out", np.ones((2, 2, 3), np.float32))
        raise ZeroDivisionError
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from tending.core import store

with store.writing(Path(sys.argv[1]), {"step": 1}, 400) as writer:
    writer.append("mlp_out", np.ones((2, 200, 300), np.float32))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_between_batches_leaves_no_file_and_the_next_cleans_up(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    assert len(list(tmp_path.iterdir())) == 1
    write(path, [23])
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize("rows_at_a_time", [1, 4, 23, 1000])
def test_blocks_are_all_rows_in_their_order(
    tmp_path: Path, rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BLOCK_BYTES", rows_at_a_time * WIDTH * 4)
    made = write(tmp_path / "a.h5", [8, 8, 7])
    indices: dict[str, tuple[int, ...]] = {
        "attention_ov": (1,),
        "attention_ov_heads": (0, 2),
        "embedding": (),
    }
    with store.Reader(tmp_path / "a.h5") as file:
        for name, index in indices.items():
            rows = file.rows(name, index)
            assert rows.shape == (ROWS, WIDTH)
            for _ in range(2):  # afresh every time
                blocks = list(rows.blocks())
                assert max(map(len, blocks)) == min(rows_at_a_time, ROWS)
                np.testing.assert_array_equal(np.concatenate(blocks), made[name][index])
            np.testing.assert_array_equal(file.matrix(name, index), made[name][index])


def test_the_first_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BLOCK_BYTES", 4 * WIDTH * 4)
    made = write(tmp_path / "a.h5", [23])
    with store.Reader(tmp_path / "a.h5") as file:
        rows = file.rows("attention_ov", (1,), first=10)
        assert rows.shape == (10, WIDTH)
        np.testing.assert_array_equal(
            np.concatenate(list(rows.blocks())), made["attention_ov"][1, :10]
        )
        assert file.rows("attention_ov", (1,), first=1000).shape == (ROWS, WIDTH)


def test_files_with_whole_layers_in_a_chunk_are_read_alike(tmp_path: Path) -> None:
    made = arrays()
    store.write_arrays(tmp_path / "old.h5", made, {})
    with store.Reader(tmp_path / "old.h5") as file:
        blocks = list(file.rows("attention_ov_heads", (1, 0)).blocks())
    np.testing.assert_array_equal(np.concatenate(blocks), made["attention_ov_heads"][1, 0])


def test_a_file_of_batches_is_open_to_the_process_that_reads_it_only(tmp_path: Path) -> None:
    """What is being written has another name, so that nobody takes it for finished."""
    path = tmp_path / "a.h5"
    with store.writing(path, {}, 2) as writer:
        writer.append("mlp_out", np.ones((1, 1, 3), np.float32))
        assert not path.exists()
        (partial,) = tmp_path.iterdir()
        assert partial.name.startswith(".a.") and partial.name.endswith(".partial.h5")
        writer.append("mlp_out", np.ones((1, 1, 3), np.float32))
    assert path.exists()
