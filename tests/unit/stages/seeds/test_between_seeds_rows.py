"""Rows of pairs of seeds: each pair as score files have it, and means over pairs."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tending.core import tables
from tending.core.estimates import Estimates
from tending.metrics.statistics import means
from tending.stages.seeds.between_seeds_rows import between_blocks

MODELS = ["a0", "a1", "a2", "a3"]
PAIRS, LAYERS, DRAWS = 6, 3, 50
ATTRIBUTES = {"study": "s", "group": "a", "parameters": 100, "step": 8, "rows": 512}
ENDS = ["value", "low", "high"]


def estimates(*shape: int) -> Estimates:
    random = np.random.default_rng(8)
    numbers = [random.uniform(size=shape) for _ in range(6)]
    return Estimates(*numbers, draws=random.uniform(size=(*shape, DRAWS)).astype(np.float32))  # type: ignore[misc]


def rows(component: str, found: Estimates) -> pd.DataFrame:
    scores = {"cka": {component: found}}
    return tables.table(between_blocks(scores, ATTRIBUTES, MODELS, ["cka"], training_steps=16))


def one(table: pd.DataFrame, **at: Any) -> pd.Series:
    for column, value in at.items():
        table = table[table[column].isna() if value is None else table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_every_pair_has_its_score_error_and_null_in_every_layer() -> None:
    found = estimates(PAIRS, LAYERS)
    table = rows("mlp_out__published", found)
    assert set(table["definition"]) == {"published"} and set(table["progress"]) == {0.5}
    for pair, (i, j) in enumerate(combinations(MODELS, 2)):
        for layer in range(LAYERS):
            at = {"model": f"{i} / {j}", "layer": layer}
            score = one(table, quantity="cka_between_pair", **at)
            expected = [found.value, found.low, found.high]
            assert list(score[ENDS]) == [e[pair, layer] for e in expected]
            assert score["n"] == 512 and score["parameters"] == 100
            error = one(table, quantity="cka_between_pair_standard_error", **at)
            assert error["value"] == found.standard_error[pair, layer]
            null = one(table, quantity="cka_between_pair_null", **at)
            assert null["value"] == found.null_mean[pair, layer]
            assert null["high"] == found.null_high[pair, layer] and pd.isna(null["low"])


def test_a_pairs_median_over_layers_has_an_interval_from_its_resamples() -> None:
    found = estimates(PAIRS, LAYERS)
    row = one(rows("mlp_out", found), model="a0 / a2", layer=None, quantity="cka_between_pair")
    medians = np.median(found.draws[1].astype(float), axis=0)
    ends = np.quantile(medians, [0.025, 0.975], method="weibull")
    assert list(row[ENDS]) == pytest.approx([np.median(found.value[1]), *ends])


def test_the_mean_over_pairs_counts_pairs_and_has_its_interval_over_seeds() -> None:
    found = estimates(PAIRS, LAYERS)
    table = rows("mlp_out", found)
    table = table[table["model"] == "a"]
    assert set(table["quantity"]) == {"cka_between_seeds", "cka_between_seeds_null"}
    assert (table["n"] == PAIRS).all() and len(table) == 2 * (LAYERS + 1)
    medians = np.median(found.value, axis=1)
    for layer, values in [(1, found.value[:, 1]), (None, medians)]:
        row = one(table, layer=layer, quantity="cka_between_seeds")
        expected = means.mean_over_pairs(values, 4)
        assert list(row[ENDS]) == pytest.approx([float(e) for e in expected])
    null = one(table, layer=None, quantity="cka_between_seeds_null")
    assert null["value"] == pytest.approx(np.median(found.null_mean, axis=1).mean())
    assert null["high"] == pytest.approx(np.median(found.null_high, axis=1).mean())


def test_what_a_model_has_one_of_has_rows_without_a_layer() -> None:
    found = estimates(PAIRS)
    table = rows("embedding", found)
    assert table["layer"].isna().all() and len(table) == 2 + 3 * PAIRS
    mean = one(table, quantity="cka_between_seeds")
    expected = means.mean_over_pairs(found.value, 4)
    assert list(mean[ENDS]) == pytest.approx([float(e) for e in expected])
    pair = one(table, model="a2 / a3", quantity="cka_between_pair")
    assert list(pair[ENDS]) == [found.value[-1], found.low[-1], found.high[-1]]


def test_what_is_not_defined_is_empty() -> None:
    table = rows("mlp_out", Estimates.undefined((PAIRS, LAYERS), DRAWS))
    assert len(table) == (2 + 3 * PAIRS) * (LAYERS + 1)
    assert table[ENDS].isna().all(axis=None)
