"""The table of the association with loss and scores: which series meet which."""

import itertools

import numpy as np
import pandas as pd
import pytest
from fabricated import SMALL, _draw, _panels, fabricate

from tending.core.tables import TYPES
from tending.figures.outcome_association import NOTHING
from tending.metrics.statistics.partial_correlation import partial
from tending.stages.synthesis.outcome_association import (
    COSINE,
    KINDS,
    PEARSON,
    SPEARMAN,
    WITHIN,
    Asked,
    outcome_association,
    outcome_quantity,
    predictors,
)

RANK = "proportional_effective_rank"
LAST = SMALL.steps[-1]
ASKED = Asked(SMALL.rank_metrics, SMALL.metrics, {m.name: LAST for m in SMALL.models})
Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def made() -> Tables:
    """Tables of a study without gradients."""
    every = fabricate(SMALL)
    tables = {n: every[n] for n in ("convergence", "effective_rank", "loss", "evaluations")}
    return {**tables, "outcome_association": outcome_association(tables, ASKED)}


def gradients(made: Tables) -> pd.DataFrame:
    """Ranks of the weights again, as if they were gradients', and cosines beside them."""
    ranks = made["effective_rank"][made["effective_rank"]["quantity"] == RANK]
    return pd.concat([ranks, ranks.assign(quantity=COSINE)], ignore_index=True)


def series(table: pd.DataFrame, quantity: str, component: str | None = None) -> pd.Series:
    own = table[(table["quantity"] == quantity) & (table["model"] == "neox-d64")]
    if component:
        own = own[(own["component"] == component) & own["head"].isna()]
    return own.astype({"value": float}).groupby("step")["value"].median()


def test_every_predictor_meets_every_outcome(made: Tables) -> None:
    found = made["outcome_association"]
    assert found.dtypes.astype(str).to_dict() == TYPES
    outcomes = ("held_out_loss", "arc_easy:acc", "lambada:perplexity")
    wanted = [
        outcome_quantity(k, p, o) for k in KINDS for p in (*SMALL.metrics, RANK) for o in outcomes
    ]
    assert set(found["quantity"]) == {q + end for q in wanted for end in ("", "_p_value")}
    rows = found.groupby("quantity").size()
    assert set(rows[[q for q in wanted if WITHIN not in q]]) == {2 * 4}  # components, models, all
    assert set(rows[[q for q in wanted if WITHIN in q]]) == {2}
    assert found[found["model"].isna()]["parameters"].isna().all()
    assert found[["step", "layer", "head"]].isna().all(axis=None)


@pytest.mark.parametrize("kind", [SPEARMAN, PEARSON])
def test_a_coefficient_is_of_medians_over_layers(made: Tables, kind: str) -> None:
    """Similarities without the reference step, ranks with it."""
    found = made["outcome_association"]
    y = series(made["evaluations"], "arc_easy:acc")
    for table, name, steps in (("convergence", "cka", 13), ("effective_rank", RANK, 14)):
        x = series(made[table], name, "mlp_out").iloc[:steps]
        wanted = partial(x, y.iloc[:steps], x.index.to_numpy(), ranks=kind == SPEARMAN)
        rows = found[found["quantity"] == outcome_quantity(kind, name, "arc_easy:acc")]
        rows = rows[(rows["component"] == "mlp_out") & (rows["model"] == "neox-d64")]
        assert rows["n"].tolist() == [steps] == [wanted.n]
        (numbers,) = rows[["value", "low"]].to_numpy(float, na_value=np.nan)
        np.testing.assert_allclose(numbers, [wanted.value, wanted.low])


def test_a_step_at_which_a_layer_has_no_value_has_no_median(made: Tables) -> None:
    """Otherwise the series would be of other layers at that step."""
    scores, step = made["convergence"].copy(), SMALL.steps[1]
    metric, model = SMALL.metrics[0], "neox-d64"
    gone = (scores["quantity"] == metric) & (scores["model"] == model) & (scores["step"] == step)
    gone &= (scores["layer"] == 0) & scores["head"].isna() & (scores["component"] == "mlp_out")
    scores.loc[gone, "value"] = pd.NA
    before = predictors({**made, "convergence": scores}, ASKED)["mlp_out", metric]
    assert gone.sum() == 1 and np.isnan(before[model, step])
    rest = predictors(made, ASKED)["mlp_out", metric].drop((model, step))
    pd.testing.assert_series_equal(before.drop((model, step)), rest)


def test_gradients_are_predictors_if_the_study_has_them(made: Tables) -> None:
    with_gradients = {**made, "gradients": gradients(made)}
    names = set(predictors(with_gradients, ASKED).columns.get_level_values("quantity"))
    assert names == {*SMALL.metrics, RANK, COSINE, f"gradient_{RANK}"}
    found = outcome_association(with_gradients, ASKED)
    weights, grads = (
        found[found["quantity"] == outcome_quantity(PEARSON, name, "arc_easy:acc")]["value"]
        for name in (RANK, f"gradient_{RANK}")
    )
    np.testing.assert_array_equal(weights.to_numpy(float), grads.to_numpy(float))


def test_a_loss_that_only_falls_leaves_nothing_of_its_ranks(made: Tables) -> None:
    found = made["outcome_association"]
    own = found[found["quantity"] == outcome_quantity(SPEARMAN, RANK, "held_out_loss")]
    assert len(own) and own["value"].isna().all()


def test_scores_at_other_steps_take_no_part(made: Tables) -> None:
    rows = made["evaluations"]
    more = rows[rows["model"].notna()].assign(step=lambda r: r["step"] + 7, value=0.5)
    found = outcome_association({**made, "evaluations": pd.concat([rows, more])}, ASKED)
    assert (found.dropna(subset=["n"])["n"] <= 14 * 3).all()


def test_too_few_steps_are_empty_and_no_error(made: Tables) -> None:
    early = {name: rows[rows["step"].isna() | (rows["step"] <= 16)] for name, rows in made.items()}
    found = outcome_association(early, ASKED)
    assert len(found) and found[["value", "low", "high"]].isna().all(axis=None)
    assert set(found["n"]) == {4, 0, 12}


def test_without_a_loss_there_are_scores_alone(made: Tables) -> None:
    found = outcome_association({**made, "loss": made["loss"].iloc[:0]}, ASKED)
    assert not found["quantity"].str.contains("held_out_loss").any() and len(found)


# The figures


def test_every_coefficient_of_the_table_is_a_mark(made: Tables) -> None:
    panels = _panels(_draw("outcome_association", made, SMALL))
    found = made["outcome_association"]
    outcomes = ("held_out_loss", "arc_easy:acc", "lambada:perplexity")
    places = itertools.product(outcomes, KINDS)
    for ax, (outcome, kind) in zip(panels, places, strict=True):
        names = [outcome_quantity(kind, name, outcome) for name in ("cka_debiased", RANK)]
        values = found[found["quantity"].isin(names)]["value"].dropna().to_numpy(float)
        drawn = [x.get_xdata()[0] for x in ax.get_lines() if len(x.get_xdata()) == 1]
        np.testing.assert_allclose(np.sort(drawn), np.sort(values))
        assert (NOTHING in [text.get_text() for text in ax.texts]) == (not len(values))


def test_one_model_has_nothing_pooled(made: Tables) -> None:
    alone = {name: rows[rows["model"] == "neox-d128"] for name, rows in made.items()}
    alone["outcome_association"] = outcome_association(alone, ASKED)
    figure = _draw("outcome_association", alone, SMALL)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["neox-d128"]
    assert len(_panels(figure)) == 3 * 2


def test_the_best_step_has_a_ring_where_a_direction_is_known(made: Tables) -> None:
    rising, unknown = _panels(_draw("evaluations", made, SMALL))
    rows = made["evaluations"]
    own = rows[rows["quantity"] == "arc_easy:acc"].astype({"value": float})
    rings = [x for x in rising.get_lines() if x.get_markerfacecolor() == "none"]
    best = own.groupby("model")["value"].max()
    assert sorted(x.get_ydata()[0] for x in rings) == sorted(best)
    assert not [x for x in unknown.get_lines() if x.get_markerfacecolor() == "none"]


def test_of_many_scores_the_first_are_drawn_and_it_is_said(made: Tables) -> None:
    rows = made["evaluations"]
    more = [rows.assign(quantity=f"{i}" + rows["quantity"]) for i in range(8)]
    figure = _draw("evaluations", {"evaluations": pd.concat(more)}, SMALL)
    (legend,) = figure.legends
    assert "12 of 16 scores" in legend.get_title().get_text()
