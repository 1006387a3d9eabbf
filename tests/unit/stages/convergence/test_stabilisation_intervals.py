"""Intervals of brackets: laws of resampling, and a study worked out by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tending.core import tables
from tending.core.estimates import Estimates
from tending.core.store import Scores
from tending.core.tables import Where, layer_block
from tending.stages.convergence import stabilisation_rows
from tending.stages.convergence.stabilisation_intervals import Resamples, interval_quantity

STEPS = [0, 10, 50, 100]
TRAINING = 200
Draws = Any  # (steps, layers[, heads], draws)


def intervals(draws: dict[str, Draws], thresholds: list[float], early: float = 0.05) -> Any:
    """The table of intervals of one model from the draws of its components."""
    resamples = Resamples(["cka"], thresholds)
    for i, step in enumerate(STEPS):
        resamples.add(scores("d64", step, {name: array[i] for name, array in draws.items()}))
    return tables.table(resamples.blocks(early, {"d64": TRAINING}))


def scores(model: str, step: int, draws: dict[str, Draws]) -> Scores:
    estimates = {}
    for name, array in draws.items():
        empty = Estimates.undefined(array.shape[:-1], array.shape[-1])
        empty.draws[...] = array
        estimates[name] = empty
    attributes = {"study": "s", "model": model, "parameters": 1000, "step": step}
    return Scores({"cka": estimates}, {}, attributes)


def triples(table: pd.DataFrame, quantity: str, *, layers: bool) -> Any:
    kept = table[(table["quantity"] == quantity) & (table["layer"].notna() == layers)]
    return kept[["value", "low", "high"]].to_numpy(dtype=float, na_value=np.nan)


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_without_error_the_interval_is_the_bracket(threshold: float) -> None:
    """Draws that all equal the scores: every row is that of the table of brackets."""
    random = np.random.default_rng(0)
    values = {"attention_ov": random.random((4, 3)), "attention_ov_heads": random.random((4, 3, 2))}
    blocks = [
        layer_block(Where("s", "d64", 1000, step, step / TRAINING), name, array[i], "cka", 8)
        for i, step in enumerate(STEPS)
        for name, array in values.items()
    ]
    values = {name: array.astype(np.float32) for name, array in values.items()}
    draws = {name: np.repeat(array[..., None], 7, axis=-1) for name, array in values.items()}
    brackets = stabilisation_rows.stabilisation(
        tables.table(blocks), ["cka"], [threshold], 0.05, {"d64": 200}
    )
    brackets["quantity"] = brackets["quantity"].map(interval_quantity)
    found = intervals(draws, [threshold])
    assert set(found["n"]) == {7}
    keys = ["quantity", "component", "definition", "layer", "head"]
    pd.testing.assert_frame_equal(
        *(t.sort_values(keys, ignore_index=True).drop(columns="n") for t in (found, brackets)),
        rtol=1e-12,
    )


def cases(*settled_from: int) -> Draws:
    """Draws of one layer that settle at the given indices of STEPS; 4 is never."""
    return np.array([[[float(i >= first) for first in settled_from]] for i in range(4)])


def test_quantiles_are_of_either_end() -> None:
    """40 draws: the lower end of the first is out, and of the last 1 is, 2.5 % on either side."""
    draws = cases(0, *[1] * 9, *[2] * 29, 3)
    found = intervals({"mlp_out": draws}, [0.5])
    step = triples(found, "cka_stabilisation_step_0.5_interval", layers=True)
    assert step.tolist() == [[50, 0, 50]]
    two = intervals({"mlp_out": cases(*[1] * 10, *[2] * 28, 3, 3)}, [0.5])
    step = triples(two, "cka_stabilisation_step_0.5_interval", layers=True)
    assert step.tolist() == [[50, 0, 100]]
    fraction = triples(two, "cka_stabilisation_fraction_0.5_interval", layers=True)
    np.testing.assert_allclose(fraction, step / TRAINING)


def test_an_end_is_empty_if_more_than_a_fortieth_never_settles() -> None:
    quantity = "cka_stabilisation_step_0.5_interval"
    one, two = (
        triples(
            intervals({"mlp_out": cases(*[2] * (40 - k), *[4] * k)}, [0.5]), quantity, layers=True
        )
        for k in (1, 2)
    )
    assert one.tolist() == [[50, 10, 50]]
    np.testing.assert_array_equal(two, [[50, 10, np.nan]])
    most = intervals({"mlp_out": cases(*[2] * 10, *[4] * 30)}, [0.5])
    np.testing.assert_array_equal(triples(most, quantity, layers=True), [[np.nan, 10, np.nan]])


def test_medians_and_shares_are_taken_within_a_draw() -> None:
    """Two layers, one of which settles early in every draw, but not the same: always half."""
    draws = np.concatenate([cases(0, 3, 0, 3), cases(3, 0, 3, 0)], axis=1)
    found = intervals({"mlp_out": draws}, [0.5])
    share = triples(found, "cka_settled_share_0.5_interval", layers=False)
    assert share.tolist() == [[0.5, 0.5, 0.5]]
    median = triples(found, "cka_stabilisation_step_0.5_interval", layers=False)
    assert median.tolist() == [[50, 25, 50]]  # of 0 and 100, and of the lower ends 0 and 50
    layers = triples(found, "cka_stabilisation_step_0.5_interval", layers=True)
    assert layers.tolist() == [[0, 0, 100]] * 2


def test_a_share_that_the_schedule_leaves_open_shows() -> None:
    """Early is step 20; settled in (10, 50]: perhaps by then."""
    found = intervals({"mlp_out": cases(2, 2, 2)}, [0.5], early=0.1)
    assert triples(found, "cka_settled_share_0.5_interval", layers=False).tolist() == [[0, 0, 1]]


def test_more_noise_never_narrows_an_interval_of_a_rising_score() -> None:
    noise = np.random.default_rng(3).normal(size=(1, 2, 200))  # the same at every step
    rising = np.array([0.2, 0.6, 0.8, 1.0])[:, None, None]
    widths = []
    for error in (0.0, 0.05, 0.2):
        found = intervals({"mlp_out": rising + error * noise}, [0.7])
        ends = triples(found, "cka_stabilisation_step_0.7_interval", layers=True)
        widths.append(np.nan_to_num(ends[:, 2], nan=np.inf) - ends[:, 1])
    assert (widths[0] <= widths[1]).all() and (widths[1] <= widths[2]).all()
    assert (widths[0] == 40).all()


def test_models_are_apart_and_missing_scores_are_not_settled() -> None:
    resamples = Resamples(["cka"], [0.5])
    for model, value in (("a", 1.0), ("b", np.nan)):
        for step in STEPS:
            resamples.add(scores(model, step, {"mlp_out": np.full((1, 4), value)}))
    table = tables.table(resamples.blocks(0.2, {"a": 200, "b": 200}))
    ends = table.set_index(["model", "quantity"])[["value", "low", "high"]]
    assert len(ends) == 10 and ends.loc["a"]["value"].notna().all()
    steps = ends.loc["b"].filter(like="stabilisation", axis="index")
    assert len(steps) == 4 and steps.isna().all(axis=None)
    assert ends.loc[("b", "cka_settled_share_0.5_interval")].tolist() == [0, 0, 0]


def test_steps_out_of_order_are_refused() -> None:
    resamples = Resamples(["cka"], [0.5])
    resamples.add(scores("a", 10, {"mlp_out": np.ones((1, 4))}))
    with pytest.raises(ValueError, match="steps must ascend, got 0 after 10"):
        resamples.add(scores("a", 0, {"mlp_out": np.ones((1, 4))}))


def test_a_score_without_resamples_leaves_the_intervals_empty() -> None:
    """Nothing is known of when such a layer settles in other sequences, nor of a median over it."""
    resamples = Resamples(["cka"], [0.5])
    for step, known in zip(STEPS, (True, False, True, True), strict=True):
        found = scores("d64", step, {"mlp_out": np.full((2, 9), 0.8 if step else 0.1)})
        estimates = found.metrics["cka"]["mlp_out"]
        estimates.value[...] = 0.8 if step else 0.1
        estimates.draws[0] = estimates.draws[0] if known else np.nan
        resamples.add(found)
    table = tables.table(resamples.blocks(0.05, {"d64": TRAINING}))
    fraction = "cka_stabilisation_fraction_0.5_interval"
    unknown, settled = triples(table, fraction, layers=True)
    assert np.isnan(unknown).all() and settled.tolist() == [0.05, 0, 0.05]
    assert np.isnan(triples(table, fraction, layers=False)).all()
    assert np.isnan(triples(table, "cka_settled_share_0.5_interval", layers=False)).all()


def test_a_restricted_metric_has_no_intervals_of_other_components() -> None:
    resamples = Resamples(["cka"], [0.5], {"cka": ["mlp_out"]})
    draws = {name: np.full((2, 9), 0.8) for name in ("mlp_out", "attention_ov")}
    resamples.add(scores("d64", 0, draws))
    assert set(tables.table(resamples.blocks(0.05, {"d64": TRAINING}))["component"]) == {"mlp_out"}
