"""Extraction batch by batch: what a sink is given, which positions, how little is held."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from memory_limits import room_for

from tending.core import positions, store
from tending.stages.activations import activations, batch_buffer
from tending.stages.activations.activations import Extraction, capture, stream

LENGTH = 7


class Counting:
    """A sink that keeps nothing but counts."""

    def __init__(self) -> None:
        self.given: dict[str, list[int]] = {}
        self.most_bytes = 0

    def append(self, name: str, rows: Any, published: bool = False) -> None:
        self.given.setdefault(name, []).append(rows.shape[max(rows.ndim - 2, 0)])
        self.most_bytes = max(self.most_bytes, rows.nbytes)


def streamed(sink: Any, sequences: int, warnings: list[str] | None = None, **settings: Any) -> None:
    model, tokens = tiny.model("gpt_neox"), tiny.tokens(sequences, LENGTH)
    asked = Extraction(sequences=sequences, **settings)
    warn = pytest.fail if warnings is None else warnings.append
    stream(model, tokens, asked, sink, lambda _: None, warn)


@pytest.fixture
def nothing_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch is given by itself, as it is when it is large."""
    monkeypatch.setattr(batch_buffer, "BYTES", 0)


def test_small_batches_are_given_together_and_large_ones_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    together, some, each = Counting(), Counting(), Counting()
    streamed(together, 10, batch_size=2, loss_sequences=5)
    assert together.given["mlp_out"] == [10]
    assert together.given["held_out_loss"] == [5]
    batch = sum(2 * n * 3 * 16 * 4 for n in (1, 1, 1))  # mlp_out, attention_ov and its heads
    monkeypatch.setattr(batch_buffer, "BYTES", 2 * batch)
    streamed(some, 10, batch_size=2)
    assert some.given["mlp_out"] == some.given["attention_ov_heads"] == [4, 4, 2]
    monkeypatch.setattr(batch_buffer, "BYTES", batch)
    streamed(each, 10, batch_size=2)
    assert each.given["mlp_out"] == [2] * 5


def test_the_cpu_takes_no_more_tokens_at_a_time_than_help_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[int] = []
    monkeypatch.setattr(activations, "CPU_TOKENS", 3 * LENGTH + 1)
    model, tokens = tiny.model("gpt_neox"), tiny.tokens(8, LENGTH)
    stream(model, tokens, Extraction(sequences=8), Counting(), done.append, pytest.fail)
    assert done == [3, 3, 2]
    assert activations.at_once(64, tokens, LENGTH - 1, torch.device("cpu")) == 1
    assert activations.at_once(64, tokens, LENGTH - 1, torch.device("meta")) == 64


def test_no_more_rows_are_given_at_a_time_than_a_batch_has(nothing_held_back: None) -> None:
    """So however many sequences there are, what is held is that of one batch."""
    few, many = Counting(), Counting()
    streamed(few, 8, position="all", batch_size=8)
    streamed(many, 128, position="all", batch_size=8, loss_sequences=10)
    assert set(many.given["attention_ov"]) == {8 * LENGTH}
    assert sum(many.given["attention_ov"]) == 128 * LENGTH
    assert many.given["held_out_loss"] == [8, 2]
    assert many.most_bytes == few.most_bytes


def test_a_batch_is_dropped_before_the_next_is_computed(nothing_held_back: None) -> None:
    """Nothing but the sink holds on to what it was given."""
    alive: list[Any] = []
    most = 0

    class Watching:
        def append(self, name: str, rows: Any, published: bool = False) -> None:
            nonlocal most
            alive.append(weakref.ref(rows))
            most = max(most, sum(ref() is not None for ref in alive))

    streamed(Watching(), 40, batch_size=4)
    assert len(alive) == 30 and most <= 3  # those of this batch


def test_nothing_of_a_failed_batch_is_given(nothing_held_back: None) -> None:
    sink, warnings = Counting(), list[str]()
    model, tokens = tiny.model("gpt_neox"), tiny.tokens(12, LENGTH)
    with room_for(model, 3):
        settings = Extraction(sequences=12, loss_sequences=7, batch_size=8)
        stream(model, tokens, settings, sink, lambda _: None, warnings.append)
    assert len(warnings) == 2
    assert sink.given["mlp_out"] == [2] * 6
    assert sum(sink.given["held_out_loss"]) == 7


@pytest.mark.parametrize("failing", [2, 3, 5])
def test_a_batch_that_fails_at_its_end_is_given_once(
    failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, calls, sink = torch.stack, iter(range(1, 1000)), Counting()

    def stack_until(tensors: Any, *rest: Any) -> Any:
        if next(calls) == failing:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 TiB")
        return stack(tensors, *rest)

    monkeypatch.setattr(torch, "stack", stack_until)
    streamed(sink, 8, [], batch_size=4, loss_sequences=8)
    assert {sum(rows) for rows in sink.given.values()} == {8}


def test_a_sink_that_fails_is_not_taken_for_a_lack_of_memory() -> None:
    class Full:
        def append(self, name: str, rows: Any, published: bool = False) -> None:
            raise RuntimeError("can't allocate: the disk is full")

    with pytest.raises(RuntimeError, match="disk is full"):
        streamed(Full(), 8, batch_size=4)


@pytest.mark.parametrize("batch_size", [3, 64])
def test_a_file_holds_what_capture_gives(tmp_path: Path, batch_size: int) -> None:
    model, tokens = tiny.model("gpt_neox"), tiny.tokens(10, LENGTH)
    asked = Extraction("all", batch_size, 8, 10, published=True)
    whole = capture(model, tokens, asked, lambda _: None, pytest.fail)
    with store.writing(tmp_path / "a.h5", {}, 8 * LENGTH) as sink:
        stream(model, tokens, asked, sink, lambda _: None, pytest.fail)
    expected = {**whole.arrays, **store.as_published(whole.published)}
    read = store.read_arrays(tmp_path / "a.h5").arrays
    assert set(read) == set(expected)
    for name, array in expected.items():
        assert np.array_equal(read[name], array) and read[name].dtype == array.dtype


def test_values_that_are_not_finite_leave_no_file(tmp_path: Path) -> None:
    model, tokens = tiny.model("gpt_neox"), tiny.tokens(4, LENGTH)
    tokens[:3] %= 49
    tokens[3] = 49  # met in the last batch alone
    with torch.no_grad():
        model.get_input_embeddings().weight[49] = float("nan")
    asked = Extraction(sequences=4, batch_size=1)
    with (
        pytest.raises(ValueError, match="NaN or infinite"),
        store.writing(tmp_path / "a.h5", {}, 4) as sink,
    ):
        stream(model, tokens, asked, sink, lambda _: None, pytest.fail)
    assert list(tmp_path.iterdir()) == []


# Positions


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("last", [6]),
        ("all", [0, 1, 2, 3, 4, 5, 6]),
        (-2, [5]),
        ([5], [5]),
        ([6, 1, 3], [1, 3, 6]),
        ([-1, -2], [5, 6]),
        ((0, -1), [0, 6]),
    ],
)
def test_positions_ascend_from_0(position: Any, expected: list[int]) -> None:
    assert positions.indices(position, LENGTH) == expected
    assert positions.count(position, LENGTH) == len(expected)
    assert positions.count(position, None) == (None if position == "all" else len(expected))


@pytest.mark.parametrize("position", [[0, 7], [-8], (3, 100)])
def test_one_of_several_positions_outside_the_sequence(position: Any) -> None:
    with pytest.raises(ValueError, match="is outside sequences of 7 tokens"):
        positions.indices(position, LENGTH)


def test_a_position_named_twice() -> None:
    with pytest.raises(ValueError, match=r"position 6 of 7 tokens is named twice in \[6, -1\]"):
        positions.indices([6, -1], LENGTH)


def test_how_positions_are_recorded() -> None:
    recorded = [positions.recorded(p) for p in ("last", "all", -3, [15, 31], (15, 31))]
    assert recorded == ["last", "all", "-3", "[15, 31]", "[15, 31]"]


@pytest.mark.parametrize("name", tiny.FAMILIES)
@pytest.mark.parametrize("batch_size", [2, 64])
def test_several_positions_are_rows_by_sequence_then_position(name: str, batch_size: int) -> None:
    model, tokens = tiny.model(name), tiny.tokens(5, LENGTH)

    def taken(position: Any) -> dict[str, Any]:
        asked = Extraction(position, batch_size, sequences=5)
        return capture(model, tokens, asked, lambda _: None, pytest.fail).arrays

    every, some = taken("all"), taken([5, -7, 3])
    for key, array in every.items():
        *outer, _, width = array.shape
        split = array.reshape(*outer, 5, LENGTH, width)[..., [0, 3, 5], :]
        np.testing.assert_allclose(some[key], split.reshape(*outer, 15, width), 1e-4, 1e-5)


def test_the_version_has_not_changed() -> None:
    """Files with a whole layer in a chunk hold the same numbers, so they are not made again."""
    assert activations.VERSION == 1
