"""The early score: medians within resamples, the right checkpoint, and the page that shows it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fabricated import TINY, fabricate

from tending.core import tables
from tending.core.estimates import Estimates
from tending.core.store import Scores
from tending.report import summary
from tending.stages.convergence import layer_median
from tending.stages.convergence.early_scores import EarlyScores

TRAINING = 100
ENDS = ["value", "low", "high"]


def scores(step: int, level: float, *shape: int, name: str = "mlp_out") -> Scores:
    found = Estimates.undefined(shape, 400)
    found.value[...] = level
    random = np.random.default_rng(step)
    found.draws[...] = level + random.normal(0, 0.01, found.draws.shape)
    attributes = {"study": "s", "model": "d64", "parameters": 1000, "step": step}
    return Scores({"cka": {name: found}}, {}, attributes)


def rows(
    *read: Scores, early: float = 0.2, only: dict[str, list[str]] | None = None
) -> pd.DataFrame:
    followed = EarlyScores(["cka"], early, {"d64": TRAINING}, only)
    for each in read:
        followed.add(each)
    return tables.table(followed.blocks())


def test_it_is_of_the_last_checkpoint_within_the_early_part() -> None:
    table = rows(*(scores(step, step / 100, 3) for step in (0, 10, 20, 30, 100)))
    (row,) = table.to_dict("records")
    assert (row["step"], row["progress"], row["n"]) == (20, 0.2, 3)
    assert row["quantity"] == "cka_early_score" and pd.isna(row["layer"])
    assert row["value"] == 0.2 and row["low"] < 0.2 < row["high"]
    assert rows(scores(30, 0.3, 3)).empty


def test_the_reference_step_is_passed_over() -> None:
    """Its score is 1 by construction, also if only the beginning of a training is studied."""
    read = [scores(step, level, 3) for step, level in ((5, 0.3), (10, 1.0))]
    for each in read:
        each.attributes["reference_step"] = 10
    (row,) = rows(*read).to_dict("records")
    assert (row["step"], row["value"]) == (5, 0.3)
    made = fabricate(TINY)
    last = int(made["convergence"]["step"].max())
    options = replace(TINY.options, early=1.0, references={"one-layer": last})
    frame = summary.summary(made, options).set_index("model")
    assert frame.loc["one-layer", "early_step"] < last


def test_heads_and_what_has_no_layers_and_restricted_metrics_have_none() -> None:
    assert rows(scores(10, 0.1, 3, 2, name="attention_ov_heads")).empty
    assert rows(scores(10, 0.1, name="embedding")).empty
    assert rows(scores(10, 0.1, 3), only={"cka": ["attention_ov"]}).empty


def test_one_layer_has_the_interval_of_its_own_resamples() -> None:
    """Normal draws of standard deviation s: s, and 1.96 s on either side."""
    found = Estimates.undefined((1,), 20_000)
    found.value[...] = 0.4
    found.draws[...] = 0.4 + np.random.default_rng(0).normal(0, 0.05, found.draws.shape)
    made = layer_median.median(found)
    assert made.standard_error.item() == pytest.approx(0.05, rel=0.02)
    ends = [made.low.item(), made.high.item()]
    assert ends == pytest.approx([0.4 - 0.098, 0.4 + 0.098], abs=0.003)


def test_layers_move_together_in_a_resample() -> None:
    """Layers whose draws are the same have the interval of one; the lowest and highest never are
    the median, however wide their own error."""
    random = np.random.default_rng(0)
    shared = random.normal(0, 0.01, 300)
    found = Estimates.undefined((3,), 300)
    found.value[...] = 0.1, 0.5, 0.9
    found.draws[...] = found.value[:, None] + shared
    same = layer_median.median(found)
    found.draws[0] -= 5 * abs(shared)
    found.draws[2] += 5 * abs(shared)
    wide = layer_median.median(found)
    ends = np.quantile(0.5 + shared, [0.025, 0.975], method="weibull")
    for made in (same, wide):
        assert made.value.item() == 0.5
        assert [made.low.item(), made.high.item()] == pytest.approx(list(ends), abs=1e-6)


def test_a_layer_without_resamples_leaves_the_interval_empty() -> None:
    read = scores(10, 0.1, 3)
    read.metrics["cka"]["mlp_out"].draws[1] = np.nan
    (row,) = rows(read).to_dict("records")
    assert row["value"] == 0.1 and pd.isna(row["low"]) and pd.isna(row["high"])


def test_the_summary_has_none_where_a_layer_has_none() -> None:
    made = fabricate(TINY)
    whole = summary.summary(made, TINY.options)
    scores = made["convergence"].copy()
    early = scores["step"].eq(whole["early_step"].iloc[0]) & scores["layer"].eq(0)
    scores.loc[early & scores["head"].isna(), "value"] = pd.NA
    frame = summary.summary({**made, "convergence": scores}, TINY.options)
    assert whole["mlp_out_early_score"].notna().all()
    assert frame["mlp_out_early_score"].isna().all()


def test_the_summary_shows_it_below_the_score() -> None:
    made = fabricate(TINY)
    frame = summary.summary(made, TINY.options)
    assert frame["mlp_out_early_score_from"].isna().all()
    place = {"model": "one-layer", "component": "mlp_out", "definition": "correct"}
    row = {
        **place,
        "quantity": "cka_debiased_early_score",
        "value": 0.2,
        "low": 0.111,
        "high": 0.222,
    }
    more = tables.table([pd.DataFrame([row]).to_dict("list")])
    with_interval = {**made, "stabilisation": pd.concat([made["stabilisation"], more])}
    frame = summary.summary(with_interval, TINY.options).set_index("model")
    ends = frame.loc["one-layer", ["mlp_out_early_score_from", "mlp_out_early_score_to"]]
    assert ends.tolist() == [0.111, 0.222]
    page = summary.summary_html(with_interval, TINY.options)
    assert page.count("<small>95 %: 0.111 to 0.222</small>") == 1
