"""The table of associations: which numbers meet which, by hand and by scipy."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from tending.core import tables
from tending.core.tables import TYPES, Where
from tending.stages.convergence import stabilisation_rows
from tending.stages.convergence.stabilisation_rows import fraction_quantity
from tending.stages.synthesis.association_table import (
    Asked,
    association,
    association_quantity,
    at_progress,
    p_value_quantity,
    score_quantity,
)

STEPS = (0, 10, 50, 100)
RANK = "proportional_effective_rank"
LAYERS = {"small": 3, "large": 5}
HEADS = 2
LENGTHS = {"small": 100, "large": 100}
ASKED = Asked((RANK, "gini"), ("cka", "cka_debiased"), (0.5, 0.9), (0.1, 0.2), LENGTHS)
Tables = dict[str, pd.DataFrame]


def values(name: str, model: str, heads: int = 0) -> np.ndarray:
    """(layers, [heads,] steps) random numbers that depend on the names alone."""
    rng = np.random.default_rng([len(name), len(model), heads])
    return rng.random((LAYERS[model], *([heads] if heads else []), len(STEPS)))


def study(steps: dict[str, tuple[int, ...]] | None = None) -> Tables:
    """Two models with heads; the score of the last step is 1."""
    ranks: list[Any] = []
    scores: list[Any] = []
    for model in LAYERS:
        for step in (steps or {}).get(model, STEPS):
            place = Where("study", model, 1000 * LAYERS[model], step, step / LENGTHS[model])
            for name, heads in (("attention_ov", 0), ("attention_ov_heads", HEADS), ("mlp_out", 0)):
                for metric in (*ASKED.rank_metrics, *ASKED.metrics):
                    at = values(metric + name, model, heads)[..., STEPS.index(step)]
                    scored = metric in ASKED.metrics
                    if scored and step == STEPS[-1]:
                        at = np.ones_like(at)
                    block = tables.layer_block(place, name, at, metric, 64)
                    (scores if scored else ranks).append(block)
    return with_stabilisation({"effective_rank": tables.table(ranks)}, tables.table(scores))


def with_stabilisation(made: Tables, convergence: pd.DataFrame) -> Tables:
    settled = stabilisation_rows.stabilisation(
        convergence, ASKED.metrics, ASKED.thresholds, 0.2, LENGTHS
    )
    return {**made, "convergence": convergence, "stabilisation": settled}


@pytest.fixture(scope="module")
def made() -> Tables:
    return study()


@pytest.fixture(scope="module")
def found(made: Tables) -> pd.DataFrame:
    return association(made, ASKED)


def rows(table: pd.DataFrame, **where: Any) -> pd.DataFrame:
    for column, value in where.items():
        wanted = table[column].isna() if value is None else table[column].eq(value)
        table = table[wanted.fillna(False)]
    return table


def number(table: pd.DataFrame, column: str = "value", **where: Any) -> float:
    (value,) = rows(table, **where)[column]
    return float("nan") if pd.isna(value) else float(value)


def own(table: pd.DataFrame, quantity: str, **where: Any) -> np.ndarray:
    """Values of the layers, in their order."""
    kept = rows(table, quantity=quantity, head=None, **where)
    return kept[kept["layer"].notna()].sort_values("layer")["value"].to_numpy(float)


def test_every_model_and_all_of_them_have_every_correlation(found: pd.DataFrame) -> None:
    assert found.dtypes.astype(str).to_dict() == TYPES
    outcomes = 2 * (2 + 2)
    moments = len(ASKED.rank_metrics) + len(STEPS)
    # whole OV, heads, heads within layers, MLP; the value and its p-value
    assert len(found) == 4 * (len(LAYERS) + 1) * outcomes * moments * 2
    keys = ["model", "component", "step", "quantity"]
    assert not found.duplicated(keys).any()
    pooled = found[found["model"].isna()]
    assert pooled["parameters"].isna().all()
    assert found[["layer", "head"]].isna().all(axis=None)
    assert set(found["definition"]) == {"correct"}
    assert found["quantity"].str.endswith(p_value_quantity("")).mean() == 0.5


def test_the_similarity_early_in_training(found: pd.DataFrame, made: Tables) -> None:
    """At 10 % there is a checkpoint; at 20 %, a quarter of the way from step 10 to 50."""
    scores = [
        own(made["convergence"], "cka", model="large", component="mlp_out", step=s)
        for s in (10, 50)
    ]
    rank = own(made["effective_rank"], "gini", model="large", component="mlp_out", step=100)
    where = {"model": "large", "component": "mlp_out"}
    for progress, reached in ((0.1, scores[0]), (0.2, 0.75 * scores[0] + 0.25 * scores[1])):
        name = association_quantity("gini", "reference", score_quantity("cka", progress))
        assert name == f"spearman_gini_at_reference_vs_cka_at_{progress}"
        wanted = spearmanr(rank, reached)
        assert number(found, quantity=name, **where) == pytest.approx(wanted.statistic)
        assert number(found, "n", quantity=name, **where) == 5
        assert number(found, "step", quantity=name, **where) == 100
        assert number(found, "progress", quantity=name, **where) == 1


def test_stabilisation_by_the_rank_at_every_step(found: pd.DataFrame, made: Tables) -> None:
    outcome = fraction_quantity("cka", 0.5)
    where = {"model": "large", "component": "mlp_out"}
    settled = own(made["stabilisation"], outcome, **where)
    assert len(set(settled)) > 1
    for step in STEPS:
        rank = own(made["effective_rank"], RANK, step=step, **where)
        name = association_quantity(RANK, "step", outcome)
        wanted = spearmanr(rank, settled).statistic
        assert number(found, quantity=name, step=step, **where) == pytest.approx(wanted)
    last = {"step": 100, **where}
    at_end = [association_quantity(RANK, when, outcome) for when in ("step", "reference")]
    assert number(found, quantity=at_end[0], **last) == number(found, quantity=at_end[1], **last)
    assert association_quantity("gini", "step", outcome) not in set(found["quantity"])


def test_heads_meet_their_own_outcomes(found: pd.DataFrame, made: Tables) -> None:
    where = {"model": "large", "component": "attention_ov"}
    name = association_quantity(RANK, "step", "cka_at_0.1", "_heads")
    sides = [
        rows(made[t], quantity=q, step=10, **where).dropna(subset="head")["value"].to_numpy(float)
        for t, q in (("effective_rank", RANK), ("convergence", "cka"))
    ]
    wanted = spearmanr(*sides).statistic
    assert number(found, quantity=name, step=10, **where) == pytest.approx(wanted)
    assert number(found, "n", quantity=name, step=10, **where) == 5 * HEADS
    # of two heads in a layer, the order of ranks is that of scores or its reverse
    agree = np.sign(np.diff(sides[0].reshape(5, 2)) * np.diff(sides[1].reshape(5, 2)))
    within = association_quantity(RANK, "step", "cka_at_0.1", "_heads_within_layers")
    assert number(found, quantity=within, step=10, **where) == pytest.approx(agree.mean())


def test_pooled_is_the_weighted_mean_of_the_models(found: pd.DataFrame) -> None:
    name = association_quantity(RANK, "reference", "cka_debiased_at_0.2")
    where = {"quantity": name, "component": "mlp_out"}
    own = [number(found, model=model, **where) for model in LAYERS]
    assert number(found, model=None, **where) == pytest.approx(np.average(own, weights=[2, 4]))
    assert number(found, "n", model=None, **where) == 8


def test_one_model_pooled_is_that_model(made: Tables) -> None:
    alone = {name: rows(table, model="large") for name, table in made.items()}
    table = association(alone, ASKED)
    numbers = ["quantity", "step", "value", "low", "high", "n"]
    one, all_ = (rows(table, model=m)[numbers].reset_index(drop=True) for m in ("large", None))
    assert len(one) > 0
    pd.testing.assert_frame_equal(one, all_)


def test_other_quantities_of_the_tables_are_left_alone(found: pd.DataFrame, made: Tables) -> None:
    """Standard errors, permutation nulls and intervals have names that begin alike."""
    scores, settled = made["convergence"], made["stabilisation"]
    more = [
        scores.assign(quantity=scores["quantity"] + end) for end in ("_standard_error", "_null")
    ]
    wider = settled.assign(quantity=settled["quantity"] + "_interval", value=0.0)
    other = {
        **made,
        "convergence": pd.concat([*more, scores]).astype(TYPES),
        "stabilisation": pd.concat([wider, settled]).astype(TYPES),
    }
    pd.testing.assert_frame_equal(association(other, ASKED), found)


def test_the_order_of_rows_does_not_matter(found: pd.DataFrame, made: Tables) -> None:
    shuffled = {name: table.sample(frac=1, random_state=0) for name, table in made.items()}
    keys = ["quantity", "component", "model", "step"]
    one, other = (
        t.sort_values(keys, ignore_index=True) for t in (found, association(shuffled, ASKED))
    )
    pd.testing.assert_frame_equal(one, other)


def test_a_layer_that_never_settles_is_the_latest(made: Tables) -> None:
    """Without the reference step in the table, scores need not end at 1."""
    convergence = made["convergence"][made["convergence"]["step"] < 100]
    cut = with_stabilisation(made, convergence)
    where = {"model": "large", "component": "mlp_out"}
    outcome = fraction_quantity("cka", 0.5)
    settled = own(cut["stabilisation"], outcome, **where)
    assert 0 < np.isnan(settled).sum() < 5
    rank = own(cut["effective_rank"], RANK, step=100, **where)
    wanted = spearmanr(rank, np.where(np.isnan(settled), 99, settled)).statistic
    name = association_quantity(RANK, "reference", outcome)
    assert number(association(cut, ASKED), quantity=name, **where) == pytest.approx(wanted)


def test_a_layer_without_scores_is_missing_and_not_late(made: Tables) -> None:
    scores = made["convergence"].copy()
    gone = (scores["model"] == "large") & (scores["component"] == "mlp_out")
    scores.loc[gone & (scores["layer"] == 2) & (scores["quantity"] == "cka"), "value"] = pd.NA
    table = association(with_stabilisation(made, scores), ASKED)
    where = {"model": "large", "component": "mlp_out"}
    for metric, n in (("cka", 4), ("cka_debiased", 5)):
        name = association_quantity(RANK, "reference", score_quantity(metric, 0.2))
        assert number(table, "n", quantity=name, **where) == n
    settled = association_quantity(RANK, "reference", fraction_quantity("cka", 0.5))
    assert number(table, "n", quantity=settled, **where) == 4


def test_models_with_other_steps_meet_where_all_of_them_have_one() -> None:
    steps = {"small": (0, 10, 100), "large": (0, 50, 100)}
    asked = replace(ASKED, references={"small": 10, "large": 100})
    table = association(study(steps), asked)
    at_step = table[table["quantity"].str.contains("_at_step_")]
    assert set(rows(at_step, model="small")["step"]) == {0, 10, 100}
    assert set(at_step[at_step["model"].isna()]["step"]) == {0, 100}
    at_reference = table[table["quantity"].str.contains("_at_reference_")]
    assert set(rows(at_reference, model="small")["step"]) == {10}
    pooled = at_reference[at_reference["model"].isna()]
    assert len(pooled) and pooled[["step", "progress"]].isna().all(axis=None)


def test_progress_of_a_step_is_empty_where_models_differ_in_length(made: Tables) -> None:
    ranks = made["effective_rank"].copy()
    ranks.loc[ranks["model"] == "small", "progress"] /= 2
    table = association({**made, "effective_rank": ranks}, ASKED)
    pooled = table[table["model"].isna()]
    assert set(pooled.loc[pooled["step"] == 0, "progress"]) == {0}
    assert pooled.loc[pooled["step"] > 0, "progress"].isna().all()


def test_models_of_two_layers_have_rows_only_together(made: Tables) -> None:
    few = {name: t[t["layer"].isna() | (t["layer"] < 2)] for name, t in made.items()}
    table = rows(association(few, ASKED), component="mlp_out")
    assert len(table) and table["model"].isna().all()
    one = {name: t[t["layer"].isna() | (t["layer"] < 1)] for name, t in made.items()}
    assert rows(association(one, ASKED), component="mlp_out").empty
    none = {name: t[:0] for name, t in made.items()}
    assert association(none, ASKED).dtypes.astype(str).to_dict() == TYPES


def test_the_published_definition_has_its_own_rows(found: pd.DataFrame, made: Tables) -> None:
    names = ("effective_rank", "convergence", "stabilisation")
    other = {n: made[n].assign(definition="published") for n in names}
    both = {n: pd.concat([made[n], other[n]], ignore_index=True).astype(TYPES) for n in names}
    table = association(both, ASKED)
    for definition in ("correct", "published"):
        own = rows(table, definition=definition).reset_index(drop=True)
        assert len(own) == len(found)
    correct = rows(table, definition="correct").drop(columns="definition")
    keys = ["quantity", "component", "model", "step"]
    one = correct.sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(
        one, found.drop(columns="definition").sort_values(keys, ignore_index=True)
    )


# The similarity at a fraction of training


def trajectory(scores: dict[int, float]) -> pd.DataFrame:
    steps = list(scores)
    return pd.DataFrame(
        {"model": "m", "layer": 0, "head": -1, "step": steps, "value": list(scores.values())}
    ).assign(progress=[s / 100 for s in steps])


@pytest.mark.parametrize(
    ("scores", "progress", "reference", "wanted"),
    [
        ({0: 0.1, 20: 0.5, 100: 1.0}, 0.2, 100, 0.5),  # a checkpoint
        ({0: 0.1, 40: 0.5, 100: 1.0}, 0.2, 100, 0.3),  # half-way
        ({30: 0.1, 40: 0.5, 100: 1.0}, 0.2, 100, math.nan),  # nothing before
        ({0: 0.1, 10: 0.5}, 0.2, 10, math.nan),  # nothing after
        ({0: 0.1, 100: 1.0}, 0.2, 100, math.nan),  # between a checkpoint and the reference
        ({0: 0.1, 10: 1.0, 30: 0.4}, 0.2, 10, math.nan),
        ({0: 0.1, 20: 1.0, 30: 0.4}, 0.2, 20, math.nan),  # the reference itself
        ({0: 0.1, 10: math.nan, 30: 0.4, 100: 1.0}, 0.2, 100, math.nan),  # a missing score
    ],
)
def test_scores_between_checkpoints(
    scores: dict[int, float], progress: float, reference: int, wanted: float
) -> None:
    (found,) = at_progress(trajectory(scores), progress, reference)
    assert found == pytest.approx(wanted, nan_ok=True)
