"""The table of groups: means and intervals over seeds, against scipy, from fabricated tables."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tending.core import tables
from tending.stages.convergence import stabilisation_rows
from tending.stages.seeds import group_tables

SEEDS = ["a0", "a1", "a2", "a3"]
MEMBERS = {"a": SEEDS, "b": ["b0"]}
MODELS = [*SEEDS, "b0", "other"]
LAYERS, HEADS, STEPS = 3, 2, (0, 8, 16)


def scores(quantity: str, heads: int = 0) -> pd.DataFrame:
    """Random values of every model, step and layer, and of every head of it."""
    random = np.random.default_rng(len(quantity))
    rows = [
        {
            "study": "s",
            "model": model,
            "parameters": 100 if model != "b0" else 200,
            "step": step,
            "progress": step / 16,
            "component": "attention_ov",
            "layer": layer,
            "head": head,
            "quantity": quantity,
            "definition": "correct",
            "value": random.uniform(),
            "n": 512,
        }
        for model in MODELS
        for step in STEPS
        for layer in range(LAYERS)
        for head in [None, *range(heads)]
    ]
    return tables.table([pd.DataFrame(rows).to_dict("list")])


@pytest.fixture
def made() -> dict[str, pd.DataFrame]:
    convergence = scores("cka", HEADS)
    settled = stabilisation_rows.stabilisation(
        convergence, ["cka"], [0.3], 0.2, dict.fromkeys(MODELS, 16)
    )
    loss = scores("held_out_loss")
    loss = loss[loss["layer"] == 0].assign(layer=pd.NA, component=pd.NA).astype(tables.TYPES)
    return {
        "convergence": convergence,
        "ranks": scores("per", HEADS),
        "stabilisation": settled,
        "loss": loss,
    }


def pooled(made: dict[str, pd.DataFrame], **changes: pd.DataFrame) -> pd.DataFrame:
    blocks = group_tables.groups(
        MEMBERS, **{**made, **changes}, metrics=["cka"], rank_metrics=["per"], thresholds=[0.3]
    )  # type: ignore[arg-type]
    return tables.table(blocks)


def one(table: pd.DataFrame, **at: Any) -> pd.Series:
    for column, value in {"head": None, **at}.items():
        table = table[table[column].isna() if value is None else table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def is_interval_of(row: pd.Series, seeds: np.ndarray) -> None:
    expected = stats.ttest_1samp(seeds, 0).confidence_interval(0.95)
    assert row["value"] == pytest.approx(seeds.mean(), rel=1e-12)
    assert [row["low"], row["high"]] == pytest.approx([expected.low, expected.high], rel=1e-12)
    assert row["n"] == len(seeds)


def test_layers_are_pooled_over_seeds(made: dict[str, pd.DataFrame]) -> None:
    table, source = pooled(made), made["convergence"]
    at = {"step": 8, "layer": 1, "quantity": "cka"}
    seeds = np.array([one(source, model=m, **at)["value"] for m in SEEDS])
    row = one(table, model="a", **at)
    is_interval_of(row, seeds)
    assert (row["parameters"], row["progress"], row["component"]) == (100, 0.5, "attention_ov")


def test_rows_without_a_layer_are_of_each_seeds_median(made: dict[str, pd.DataFrame]) -> None:
    source = made["convergence"]
    own = source[source["head"].isna() & (source["step"] == 16)]
    seeds = np.array([np.median(own.loc[own["model"] == m, "value"]) for m in SEEDS])
    is_interval_of(one(pooled(made), model="a", step=16, layer=None, quantity="cka"), seeds)


def test_heads_are_averaged_within_a_seed_first(made: dict[str, pd.DataFrame]) -> None:
    source = made["ranks"]
    own = source[source["head"].notna() & (source["step"] == 0) & (source["layer"] == 2)]
    seeds = np.array([own.loc[own["model"] == m, "value"].mean() for m in SEEDS])
    is_interval_of(one(pooled(made), model="a", step=0, layer=2, quantity="per_over_heads"), seeds)


def test_moments_of_settling_and_losses_are_pooled(made: dict[str, pd.DataFrame]) -> None:
    table, settled = pooled(made), made["stabilisation"]
    fraction = "cka_stabilisation_fraction_0.3"
    every = settled["value"].fillna(1.0)  # the last score is below the threshold for some
    table = pooled(made, stabilisation=settled.assign(value=every))
    for layer in (None, 0, 1, 2):
        own = settled.assign(value=every)
        seeds = np.array(
            [one(own, model=m, layer=layer, quantity=fraction)["value"] for m in SEEDS]
        )
        is_interval_of(one(table, model="a", layer=layer, quantity=fraction), seeds)
        for end in ("low", "high"):
            ends = [one(own, model=m, layer=layer, quantity=fraction)[end] for m in SEEDS]
            row = one(table, model="a", layer=layer, quantity=f"{fraction}_bracket")
            assert pd.isna(row[end]) if pd.isna(ends).any() else row[end] == np.mean(ends)
    at = {"step": 16, "quantity": "held_out_loss"}
    seeds = np.array([one(made["loss"], model=m, **at)["value"] for m in SEEDS])
    is_interval_of(one(table, model="a", **at), seeds)


def test_a_group_of_one_has_values_without_intervals(made: dict[str, pd.DataFrame]) -> None:
    own = pooled(made)
    own = own[own["model"] == "b"]
    brackets = own["quantity"].str.endswith("_bracket")  # whose ends are those of the schedule
    assert (own["n"] <= 1).all() and brackets.any() and not brackets.all()
    assert own.loc[~brackets, ["low", "high"]].isna().all().all()
    at = {"step": 8, "layer": 1, "quantity": "cka"}
    assert one(own, **at)["value"] == one(made["convergence"], model="b0", **at)["value"]


def test_models_without_a_group_are_in_no_row(made: dict[str, pd.DataFrame]) -> None:
    assert set(pooled(made)["model"]) == {"a", "b"}


def test_a_number_that_a_seed_lacks_is_empty(made: dict[str, pd.DataFrame]) -> None:
    source = made["convergence"].copy()
    lacking = (source["model"] == "a1") & (source["step"] == 8) & (source["layer"] == 1)
    source.loc[lacking, "value"] = np.nan
    table = pooled(made, convergence=source)
    for layer in (1, None):  # a median of what is left would be of other layers
        row = one(table, model="a", step=8, layer=layer, quantity="cka")
        assert pd.isna(row["value"]) and pd.isna(row["low"]) and row["n"] == 3
    assert one(table, model="a", step=8, layer=0, quantity="cka")["n"] == 4


def test_steps_that_a_seed_lacks_are_left_out(made: dict[str, pd.DataFrame]) -> None:
    source = made["convergence"]
    fewer = source[(source["model"] != "a3") | (source["step"] != 8)]
    table = pooled(made, convergence=fewer)
    own = table[(table["model"] == "a") & (table["quantity"] == "cka")]
    assert set(own["step"]) == {0, 16} and (own["n"] == 4).all()


def test_seeds_of_different_size_are_refused(made: dict[str, pd.DataFrame]) -> None:
    source = made["convergence"].copy()
    source.loc[source["model"] == "a2", "parameters"] = 300
    with pytest.raises(ValueError, match="group a: a0 has 100 parameters, a2 has 300"):
        pooled(made, convergence=source)


def test_definitions_are_pooled_apart(made: dict[str, pd.DataFrame]) -> None:
    source = made["convergence"]
    both = pd.concat([source, source.assign(definition="published", value=0.25)])
    table = pooled(made, convergence=both)
    for layer in (None, 0):
        at = {"model": "a", "step": 8, "layer": layer, "quantity": "cka"}
        assert one(table, definition="published", **at)["value"] == 0.25
        expected = one(pooled(made), **at)
        assert one(table, definition="correct", **at)["value"] == expected["value"]
