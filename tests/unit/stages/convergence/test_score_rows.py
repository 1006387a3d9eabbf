"""Scores as rows: intervals beside them, errors and nulls as quantities of their own."""

import numpy as np
import pandas as pd

from tending.core import tables
from tending.core.estimates import Estimates
from tending.core.tables import Where
from tending.stages.convergence.score_rows import score_blocks

PLACE = Where("embedded", "d64", 1000, 16, 0.25)


def estimates(*shape: int) -> Estimates:
    numbers = [np.arange(float(np.prod(shape))).reshape(shape) + 100 * i for i in range(6)]
    return Estimates(*numbers, draws=np.zeros((*shape, 3), np.float32))  # type: ignore[misc]


def rows(name: str, *shape: int) -> dict[str, pd.DataFrame]:
    table = tables.table(score_blocks(PLACE, name, "cka", estimates(*shape), 128))
    assert set(table["n"]) == {128}
    return {str(quantity): own for quantity, own in table.groupby("quantity")}


def test_a_layer_has_its_score_its_error_and_its_null() -> None:
    found = rows("mlp_out__published", 2)
    ends = ["value", "low", "high"]
    assert found["cka"][ends].to_numpy(float).tolist() == [[0, 200, 300], [1, 201, 301]]
    assert set(found["cka"]["definition"]) == {"published"}
    assert found["cka_standard_error"]["value"].tolist() == [100, 101]
    assert found["cka_standard_error"][["low", "high"]].isna().all(axis=None)
    assert found["cka_null"][["value", "high"]].to_numpy(float).tolist() == [[400, 500], [401, 501]]
    assert found["cka_null"]["low"].isna().all()
    assert set(found) == {"cka", "cka_standard_error", "cka_null"}


def test_a_head_has_its_score_and_interval() -> None:
    found = rows("attention_ov_heads", 2, 3)
    assert set(found) == {"cka", "cka_heads_null"}
    table = found["cka"]
    assert list(zip(table["layer"], table["head"], strict=True)) == list(np.ndindex(2, 3))
    np.testing.assert_array_equal(table["low"] - table["value"], 200)
    np.testing.assert_array_equal(table["high"] - table["value"], 300)


def test_the_nulls_of_a_layers_heads_are_one_row_from_the_lowest_to_the_highest() -> None:
    table = rows("attention_ov_heads__published", 2, 3)["cka_heads_null"]
    assert table["layer"].tolist() == [0, 1] and table["head"].isna().all()
    assert set(table["component"]) == {"attention_ov"} and set(table["definition"]) == {"published"}
    assert table[["value", "high"]].to_numpy(float).tolist() == [[400, 502], [403, 505]]
    assert table["low"].isna().all()
    lacking = estimates(2, 3)
    lacking.null_mean[0, 0], lacking.null_high[0], lacking.null_mean[1] = np.nan, np.nan, np.nan
    block = tables.table(score_blocks(PLACE, "attention_ov_heads", "cka", lacking, 128))
    kept = block[block["quantity"] == "cka_heads_null"]
    assert kept["value"].fillna(-1).tolist() == [401, -1]
    assert kept["high"].fillna(-1).tolist() == [-1, 505]


def test_what_is_not_defined_is_empty() -> None:
    table = tables.table(
        score_blocks(PLACE, "mlp_out", "cka", Estimates.undefined((3,), draws=4), 128)
    )
    assert len(table) == 9 and table[["value", "low", "high"]].isna().all(axis=None)
