"""Training batches from a dataset on the hub: which rows, how few bytes, and every error once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import HfApi, constants
from rows import Rows
from server import Hub

from tending.corpus import CorpusError, hub
from tending.hub import client
from tending.stages.gradients.gradient_batches import Batches, of_dataset

NAME = "org/pile"
ROWS = Rows(files=8, batches_per_file=2)  # 16 steps of eight rows of 33 tokens
BY_COLUMN = {"dataset": NAME, "column": "token_ids", "step_column": "batch_idx"}
BY_NUMBER = {"dataset": NAME, "column": "token_ids", "rows_per_step": 8}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the rows, without waits between attempts."""
    with Hub() as running:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        monkeypatch.setattr(client, "api", lambda: HfApi(running.endpoint, token=False))
        ROWS.publish(running, NAME)
        yield running


def batches(folder: Path, keys: dict[str, Any], steps: list[int], **asked: Any) -> Batches:
    pin = folder / "revision.json"
    hub.resolve(NAME, "main", pin)
    return of_dataset(pin, {"sequences": 5, "steps": steps, **keys, **asked}, context=32)


@pytest.mark.parametrize("keys", [BY_COLUMN, BY_NUMBER], ids=["column", "number"])
def test_the_rows_of_the_steps_around_a_checkpoint(
    served: Hub, tmp_path: Path, keys: dict[str, Any]
) -> None:
    """One token more than the models read: the one that the last predicts."""
    made = batches(tmp_path, keys, [9, 10, 11, 12, 13])
    assert [name for name, _ in made] == [f"training step {s}" for s in range(9, 14)]
    for step, (_, tokens) in zip(range(9, 14), made, strict=True):
        assert np.array_equal(tokens, ROWS.tokens()[8 * step : 8 * step + 5])
        assert tokens.dtype == np.int32 and tokens.shape == (5, 33)


def test_footers_of_few_files_are_read_and_each_once(served: Hub, tmp_path: Path) -> None:
    batches(tmp_path, BY_COLUMN, [12, 13])
    asked = {i: served.asked(f"/datasets/{NAME}/*-{i:05}-of-*") for i in range(8)}
    assert not any(asked[i] for i in (0, 1, 2, 3, 7))  # halving: 4, 6 and 5


@pytest.mark.parametrize(
    ("keys", "asked", "message"),
    [
        (BY_COLUMN, {"steps": [15, 16]}, r"no row has batch_idx 16; .*`gradients\.data` and `grad"),
        (BY_COLUMN, {"sequences": 9}, r"batch_idx 3 has 8 rows, .* 9 \(see `gradients\.sequences`"),
        (BY_NUMBER, {"steps": [17]}, r"has 128 rows, .* from row 136 on \(see `gradients\.data\.r"),
        (BY_NUMBER, {"column": "ids"}, r"no column 'ids'; name one in `gradients\.data\.column`"),
        (BY_COLUMN, {"step_column": "at"}, r"no column 'at'; .*`gradients\.data\.step_column`"),
        (BY_NUMBER, {"split": "test"}, r"no split 'test'; .*`gradients\.data\.split`"),
    ],
)
def test_batches_that_do_not_exist_are_named(
    served: Hub, tmp_path: Path, keys: dict[str, Any], asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        batches(tmp_path, keys, **{"steps": [3], **asked})
