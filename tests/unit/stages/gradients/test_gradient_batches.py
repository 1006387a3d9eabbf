"""The batches that gradients are taken of: which rows, where they end, and their files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tending.checkpoints.trained import Recipe
from tending.core import store
from tending.corpus import CorpusError, tokens_sha256
from tending.stages.gradients import gradient_batches as batches
from tending.stages.gradients.gradient_config import window
from tending.stages.training import training

RECIPE = Recipe(
    d_model=8,
    layers=1,
    heads=2,
    learning_rate=0.01,
    steps=20,
    batch=4,
    sequence_length=8,
    save_every=5,
    seed=3,
)
STREAM = np.arange(9 * 30 + 5, dtype=np.int32)  # 30 rows and some tokens: 7 updates an epoch
ORDER = {"batch": 4, "sequence_length": 8, "seed": 3, "sequences": 128}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, [0, 1, 2]),
        (1, [0, 1, 2, 3]),
        (10, [8, 9, 10, 11, 12]),
        (18, [16, 17, 18, 19]),
        (20, [18, 19]),
    ],
)
def test_a_window_has_the_steps_that_exist(step: int, expected: list[int]) -> None:
    assert window(step, 2, end=20) == expected


@given(st.integers(0, 50), st.integers(0, 9), st.integers(1, 50))
def test_a_window_ascends_around_the_checkpoint(step: int, within: int, end: int) -> None:
    found = window(step, within, end)
    assert found == [s for s in range(end) if abs(s - step) <= within]


def test_the_rows_are_those_of_the_training() -> None:
    """Across the end of an epoch, too: updates 5 to 9 of seven an epoch."""
    made = batches.of_training(STREAM, {**ORDER, "steps": [5, 6, 7, 8, 9]})
    assert [name for name, _ in made] == [f"training step {s}" for s in range(5, 10)]
    for step, (_, rows) in zip(range(5, 10), made, strict=True):
        expected = training.batch(STREAM, RECIPE, step).numpy()
        assert np.array_equal(rows, expected) and rows.shape == (4, 9)
        assert rows.dtype == np.int32


def test_of_a_batch_the_first_sequences_are_taken() -> None:
    (_, rows), *_ = batches.of_training(STREAM, {**ORDER, "sequences": 3, "steps": [2]})
    assert np.array_equal(rows, training.batch(STREAM, RECIPE, 2).numpy()[:3])


def test_a_limit_of_the_training_tokens_is_kept() -> None:
    made = batches.of_training(STREAM, {**ORDER, "training_tokens": 90, "steps": [5]})
    expected = training.batch(STREAM[:90], replace(RECIPE), 5).numpy()
    assert np.array_equal(made[0][1], expected)


def test_held_out_batches_share_no_sequence() -> None:
    probe = np.arange(26 * 5, dtype=np.int32).reshape(26, 5)
    made = batches.held_out(probe, 4, 128)
    assert [rows.shape for _, rows in made] == [(6, 5)] * 4
    assert np.array_equal(np.concatenate([rows for _, rows in made]), probe[:24])
    cut = batches.held_out(probe, 4, 2)
    assert all(np.array_equal(c, rows[:2]) for (_, c), (_, rows) in zip(cut, made, strict=True))
    with pytest.raises(CorpusError, match=r"26 sequences cannot .* into 27 .*held_out_batches"):
        batches.held_out(probe, 27, 1)


def test_a_file_of_training_batches_gives_them_back(tmp_path: Path) -> None:
    made = batches.of_training(STREAM, {**ORDER, "steps": [0, 1, 2]})
    batches.write(tmp_path / "b.h5", made, {"study": "s"})
    read = batches.read(tmp_path / "b.h5", [])
    assert read.of_training and len(read.sha256) == 64
    assert [name for name, _ in read.batches] == [name for name, _ in made]
    assert all(np.array_equal(x, y) for (_, x), (_, y) in zip(read.batches, made, strict=True))


def test_the_studys_tokens_are_divided(tmp_path: Path) -> None:
    probe = np.arange(60, dtype=np.int32).reshape(12, 5)
    told = {"corpus_sha256": tokens_sha256(probe)}
    store.write_arrays(tmp_path / "tokens.h5", {"tokens": probe}, told)
    read = batches.read(tmp_path / "tokens.h5", [3, 128])
    assert not read.of_training and read.sha256 == tokens_sha256(probe)
    assert np.array_equal(np.concatenate([rows for _, rows in read.batches]), probe)
