"""Tidy tables: nothing lost, nothing invented, and a hand-computed summary."""

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tending.core import plugins, store, tables
from tending.core.estimates import Estimates
from tending.core.tables import COLUMNS, TYPES, Where
from tending.run.config import SPECTRUM
from tending.stages.activations.loss_rows import loss_blocks
from tending.stages.convergence import stabilisation_rows
from tending.stages.training.training_rows import training_blocks
from tending.tables import convergence, effective_rank

PLACE = Where("embedded", "d64", 1000, 16, 0.25)
CONTRACT = (  # design.md, "Data contracts"
    "study, model, parameters, step, progress, component, layer, head, quantity, definition, "
    "value, low, high, n"
)


def rows(table: pd.DataFrame, **where: Any) -> pd.DataFrame:
    for column, value in where.items():
        wanted = table[column].isna() if value is None else table[column].eq(value)
        table = table[wanted.fillna(False)]
    return table


def test_columns_are_those_of_the_contract() -> None:
    assert ", ".join(COLUMNS) == CONTRACT


def test_a_block_of_layers() -> None:
    table = tables.table(
        [tables.layer_block(PLACE, "mlp_out", np.array([0.5, np.nan]), "cka", 128)]
    )
    assert table["layer"].tolist() == [0, 1]
    assert table["head"].isna().all()
    assert table["value"].isna().tolist() == [False, True]
    assert table.loc[0].dropna().to_dict() == {
        "study": "embedded",
        "model": "d64",
        "parameters": 1000,
        "step": 16,
        "progress": 0.25,
        "component": "mlp_out",
        "layer": 0,
        "quantity": "cka",
        "definition": "correct",
        "value": 0.5,
        "n": 128,
    }


def test_a_block_of_heads_belongs_to_its_component() -> None:
    values = np.arange(6.0).reshape(2, 3)
    table = tables.table([tables.layer_block(PLACE, "attention_ov_heads", values, "cka", None)])
    assert set(table["component"]) == {"attention_ov"}
    found = {(r.layer, r.head): r.value for r in table.itertuples()}
    assert found == {(i, j): values[i, j] for i in range(2) for j in range(3)}
    assert table["n"].isna().all()


def test_where_a_row_belongs() -> None:
    attributes = {
        "study": "s",
        "model": "m",
        "parameters": np.int64(5),
        "step": np.int64(30),
        "more": "ignored",
    }
    assert tables.where(attributes, {"m": 120, "other": 1}) == Where("s", "m", 5, 30, 0.25)


# Losses


def test_the_loss_has_the_closed_forms_interval() -> None:
    """Losses 1, 2, 3, 4: mean 2.5, standard deviation sqrt(5/3), standard error sqrt(5/12).

    Student's 0.975 quantile with 3 degrees of freedom is 3.182446.
    """
    table = tables.table(loss_blocks(PLACE, np.array([1.0, 2.0, 3.0, 4.0])))
    (mean,) = rows(table, quantity="held_out_loss").itertuples()
    (error,) = rows(table, quantity="held_out_loss_standard_error").itertuples()
    expected = math.sqrt(5 / 12)
    assert mean.value == pytest.approx(2.5)
    assert error.value == pytest.approx(expected)
    assert (mean.low, mean.high) == pytest.approx(
        (2.5 - 3.182446 * expected, 2.5 + 3.182446 * expected), rel=1e-6
    )
    assert (mean.n, error.n) == (4, 4)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for losses in rng.normal(3.0, 0.4, size=(2000, 100)):
        (block, _) = loss_blocks(PLACE, losses)
        covered += block["low"] <= 3.0 <= block["high"]
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)  # 3 standard errors of the share


def test_one_sequence_has_no_error() -> None:
    table = tables.table(loss_blocks(PLACE, np.array([2.0])))
    (mean,) = rows(table, quantity="held_out_loss").itertuples()
    assert mean.value == 2.0
    assert rows(table, quantity="held_out_loss_standard_error")["value"].isna().all()
    assert rows(table, quantity="held_out_loss")[["low", "high"]].isna().all(axis=None)


def test_a_training_log_has_a_row_per_number() -> None:
    log = pd.DataFrame({"step": [1, 2], "training_loss": [5.0, 4.0], "learning_rate": [0.1, 0.2]})
    manifest = {"model": "d64", "parameters": 1000, "more": 1}
    table = tables.table(training_blocks("embedded", manifest, log, 4))
    assert len(table) == 4
    assert rows(table, quantity="training_loss")["value"].tolist() == [5.0, 4.0]
    assert rows(table, quantity="learning_rate")["progress"].tolist() == [0.25, 0.5]
    assert table["component"].isna().all() and table["layer"].isna().all()


# Stabilisation, by hand

STEPS = [0, 10, 50, 100]
TRAJECTORIES = {  # layer -> scores; settled at 0.9:
    0: [0.95, 0.95, 0.95, 1.0],  # (0, 0]
    1: [0.10, 0.95, 0.95, 1.0],  # (0, 10]
    2: [0.10, 0.50, 0.95, 1.0],  # (10, 50]
    3: [0.10, 0.95, 0.50, 1.0],  # (50, 100]
}
HEADS = {(0, 0): [0.1, 0.1, 0.1, 1.0], (0, 1): [0.1, 0.1, 0.1, 0.2]}  # (50, 100] and never


def scores(
    layers: dict[int, list[float]], heads: dict[tuple[int, int], list[float]] | None = None
) -> pd.DataFrame:
    blocks: list[dict[str, Any]] = []
    for i, step in enumerate(STEPS):
        place = Where("embedded", "d64", 1000, step, step / 200)
        whole = np.array([trajectory[i] for trajectory in layers.values()])
        blocks.append(dict(tables.layer_block(place, "attention_ov", whole, "cka", 128)))
        if heads:
            each = np.array([[trajectory[i] for trajectory in heads.values()]])
            blocks.append(dict(tables.layer_block(place, "attention_ov_heads", each, "cka", 128)))
    return tables.table(blocks)


def stabilise(frame: pd.DataFrame, early: float = 0.05) -> pd.DataFrame:
    return stabilisation_rows.stabilisation(frame, ["cka"], [0.9], early, {"d64": 200})


def numbers(frame: pd.DataFrame) -> list[list[float]]:
    return [[float("nan") if pd.isna(v) else float(v) for v in row] for row in frame.to_numpy()]


def triples(table: pd.DataFrame, **where: Any) -> Any:
    """value, low, high of the selected rows, missing as NaN."""
    return numbers(rows(table, **where)[["value", "low", "high"]])


def test_brackets_of_every_layer() -> None:
    table = stabilise(scores(TRAJECTORIES))
    step = rows(table, quantity="cka_stabilisation_step_0.9")
    layers = step[step["layer"].notna()]
    assert layers["layer"].tolist() == [0, 1, 2, 3]
    assert triples(layers) == [[0, 0, 0], [10, 0, 10], [50, 10, 50], [100, 50, 100]]
    fraction = rows(table, quantity="cka_stabilisation_fraction_0.9")
    by_layer = fraction[fraction["layer"].notna()]
    np.testing.assert_allclose(triples(by_layer), np.array(triples(layers)) / 200)
    assert set(layers["n"]) == {len(STEPS)}


def test_median_over_layers_is_of_each_end() -> None:
    """Of 0, 10, 50, 100 the median is 30; of the lower ends 0, 0, 10, 50 it is 5."""
    table = stabilise(scores(TRAJECTORIES))
    where = {"quantity": "cka_stabilisation_step_0.9", "layer": None}
    assert triples(table, **where) == [[30, 5, 30]]
    assert rows(table, **where)["n"].tolist() == [4]


def test_share_of_layers_settled_early() -> None:
    """Within 5 % of 200 steps, step 10: layers 0 and 1 for certain."""
    table = stabilise(scores(TRAJECTORIES))
    assert triples(table, quantity="cka_settled_share_0.9") == [[0.5, 0.5, 0.5]]
    table = stabilise(scores(TRAJECTORIES), early=0.1)  # step 20, where layer 2 may have settled
    assert triples(table, quantity="cka_settled_share_0.9") == [[0.5, 0.5, 0.75]]


def test_a_layer_that_never_settles_counts_as_the_latest() -> None:
    three = {**TRAJECTORIES, 3: [0.1, 0.1, 0.1, 0.2], 4: [0.1, 0.1, 0.1, 0.3]}
    table = stabilise(scores(three))
    step = rows(table, quantity="cka_stabilisation_step_0.9")
    nan = pytest.approx(float("nan"), nan_ok=True)
    assert triples(step, layer=3) == [[nan, nan, nan]]
    assert triples(step, layer=None) == [[50, 10, 50]]  # of 0, 10, 50, never, never
    most = {0: TRAJECTORIES[0], 1: three[3], 2: three[4]}
    table = stabilise(scores(most))
    assert triples(table, quantity="cka_stabilisation_step_0.9", layer=None) == [[nan, nan, nan]]
    assert triples(table, quantity="cka_settled_share_0.9")[0][0] == pytest.approx(1 / 3)


def test_heads_have_brackets_but_no_part_in_the_summary() -> None:
    table = stabilise(scores(TRAJECTORIES, HEADS))
    step = rows(table, quantity="cka_stabilisation_step_0.9")
    heads = step[step["head"].notna()]
    assert list(zip(heads["layer"], heads["head"], strict=True)) == [(0, 0), (0, 1)]
    nan = pytest.approx(float("nan"), nan_ok=True)
    assert triples(heads) == [[100, 50, 100], [nan, nan, nan]]
    plain = stabilise(scores(TRAJECTORIES))
    for quantity in ("cka_stabilisation_step_0.9", "cka_settled_share_0.9"):
        where = {"quantity": quantity, "layer": None}
        assert triples(table, **where) == triples(plain, **where)


def test_a_missing_score_counts_as_not_settled() -> None:
    table = stabilise(scores({0: [0.95, 0.95, float("nan"), 1.0]}))
    assert triples(table, quantity="cka_stabilisation_step_0.9", layer=0) == [[100, 50, 100]]


def test_order_of_rows_does_not_matter() -> None:
    frame = scores(TRAJECTORIES, HEADS)
    shuffled = frame.sample(frac=1.0, random_state=0)
    pd.testing.assert_frame_equal(stabilise(frame), stabilise(shuffled))


def test_models_and_metrics_are_apart() -> None:
    frame = scores(TRAJECTORIES)
    other = frame.assign(model="d128", parameters=2000, value=1.0).astype(TYPES)
    debiased = frame.assign(quantity="cka_debiased", value=0.0).astype(TYPES)
    both = pd.concat([frame, other, debiased], ignore_index=True)
    training_steps = {"d64": 200, "d128": 400}
    table = stabilisation_rows.stabilisation(both, ["cka"], [0.5, 0.9], 0.05, training_steps)
    assert not table["quantity"].str.contains("debiased").any()
    settled = rows(table, model="d128", quantity="cka_settled_share_0.9")
    assert settled["value"].tolist() == [1.0] and settled["parameters"].tolist() == [2000]
    alone = rows(table, model="d64", quantity="cka_stabilisation_step_0.9", layer=None)
    assert triples(alone) == [[30, 5, 30]]


def test_no_scores_no_rows() -> None:
    table = stabilise(tables.table([]))
    assert len(table) == 0 and table.dtypes.astype(str).to_dict() == TYPES


# Medians


def test_medians_and_quartiles_over_layers() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 10.0])
    frame = tables.table([tables.layer_block(PLACE, "mlp_out", values, "cka", 128)])
    (found,) = tables.median_over_layers(frame).to_dict("records")
    assert (found["lower"], found["median"], found["upper"], found["layers"]) == (2.0, 3.0, 4.0, 5)
    assert (found["model"], found["step"], found["progress"]) == ("d64", 16, 0.25)


# Files


def round_trip(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    tables.write(frame, folder / "t.csv", folder / "t.parquet")
    return tables.read(folder / "t.parquet")


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    frame = pd.concat([scores(TRAJECTORIES, HEADS), stabilise(scores(TRAJECTORIES, HEADS))])
    frame = frame.reset_index(drop=True)
    pd.testing.assert_frame_equal(round_trip(frame, tmp_path), frame)
    csv = pd.read_csv(tmp_path / "t.csv", keep_default_na=False, na_values=[""]).astype(TYPES)
    pd.testing.assert_frame_equal(csv, frame)


def test_missing_values_are_empty_and_never_0(tmp_path: Path) -> None:
    values = np.array([0.0, np.nan])
    frame = tables.table([tables.layer_block(PLACE, "mlp_out", values, "cka", 128)])
    read = round_trip(frame, tmp_path)
    assert read["value"].isna().tolist() == [False, True]
    header, zero, missing = (tmp_path / "t.csv").read_text().splitlines()
    assert header == CONTRACT.replace(" ", "")
    assert zero == "embedded,d64,1000,16,0.25,mlp_out,0,,cka,correct,0.0,,,128"
    assert missing == "embedded,d64,1000,16,0.25,mlp_out,1,,cka,correct,,,,128"


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    read = round_trip(tables.table([]), tmp_path)
    assert len(read) == 0
    assert read.dtypes.astype(str).to_dict() == TYPES
    assert (tmp_path / "t.csv").read_text() == CONTRACT.replace(" ", "") + "\n"


def test_a_model_called_na_is_no_missing_value(tmp_path: Path) -> None:
    frame = tables.table([{**vars(PLACE), "model": "NA", "value": [1.0]}])
    assert round_trip(frame, tmp_path)["model"].tolist() == ["NA"]


def test_floats_keep_all_their_digits(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(50) ** 9
    frame = tables.table([tables.layer_block(PLACE, "mlp_out", values, "cka", 128)])
    assert round_trip(frame, tmp_path)["value"].tolist() == values.tolist()
    _, *lines = (tmp_path / "t.csv").read_text().splitlines()
    column = COLUMNS.index("value")
    assert [float(line.split(",")[column]) for line in lines] == values.tolist()


def test_quantities_spell_the_threshold_shortly() -> None:
    assert stabilisation_rows.fraction_quantity("cka", 0.9) == "cka_stabilisation_fraction_0.9"
    assert stabilisation_rows.step_quantity("cka", 0.95) == "cka_stabilisation_step_0.95"
    assert stabilisation_rows.share_quantity("cka", 1.0) == "cka_settled_share_1"


def test_a_table_of_every_metric_of_singular_values(tmp_path: Path) -> None:
    """Also of odd matrices: infinite where that is the value, empty where there is none."""
    spectra = {
        "attention_ov_heads": np.arange(1.0, 13.0).reshape(2, 2, 3),
        "mlp_out": np.array([[4.0, 2.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]),
    }
    attributes = {"study": "s", "model": "m", "parameters": 5, "step": 2}
    attributes["matrix_shapes"] = '{"mlp_out": [4, 9]}'
    store.write_arrays(tmp_path / "s.h5", spectra, attributes)
    metrics = plugins.names(SPECTRUM)
    table = effective_rank.table([tmp_path / "s.h5"], metrics, {"m": 4})
    csv = tmp_path / "t.csv"
    tables.write(table, csv, tmp_path / "t.parquet")
    details = [f"power_law_alpha_{d}" for d in ("x_min", "x_max", "ks_distance", "tail")]
    of_products = [name for name in metrics if name != "marchenko_pastur"]
    assert len(table) == 6 * (len(of_products) + len(details)) + 2
    assert set(table["quantity"]) == {*metrics, *details}
    assert set(rows(table, quantity="marchenko_pastur")["component"]) == {"mlp_out"}
    assert rows(table, layer=1, head=1, quantity="nuclear")["value"].tolist() == [33.0]
    assert rows(table, component="mlp_out", quantity="condition_number")["value"].tolist() == [
        math.inf,
        math.inf,
    ]
    zeros = rows(table, component="mlp_out", layer=1)
    empty = {
        name
        for name in metrics
        if math.isnan(plugins.load(SPECTRUM, name, "spectrum metric").METRIC.of_zeros)
    }
    assert set(zeros[zeros["value"].isna()]["quantity"]) == {*empty, *details}
    again = pd.read_csv(csv)["value"]
    np.testing.assert_allclose(again, table["value"].to_numpy(float, na_value=np.nan), rtol=1e-15)


def test_a_metric_of_one_matrix_needs_a_file_that_knows_its_shape(tmp_path: Path) -> None:
    """A file from before shapes were kept is no file without such matrices."""
    path = tmp_path / "s.h5"
    attributes = {"study": "s", "model": "m", "parameters": 5, "step": 2}
    store.write_arrays(path, {"mlp_out": np.ones((2, 9))}, attributes)
    with pytest.raises(store.StoreError, match=r"s\.h5 knows the shape of no matrix, which march"):
        effective_rank.table([path], ["effective_rank", "marchenko_pastur"], {"m": 4})
    assert len(effective_rank.table([path], ["effective_rank"], {"m": 4})) == 2


def test_a_row_of_what_a_model_has_one_of_has_no_layer(tmp_path: Path) -> None:
    whole = tables.layer_block(PLACE, "embedding", np.asarray(0.25), "cka", 128)
    layers = tables.layer_block(PLACE, "residual", np.array([0.5, 0.75]), "cka", 128)
    frame = round_trip(tables.table([whole, layers]), tmp_path)
    assert frame["layer"].tolist() == [pd.NA, 0, 1]
    assert frame["value"].tolist() == [0.25, 0.5, 0.75]
    assert frame["component"].tolist() == ["embedding", "residual", "residual"]


def test_what_a_model_has_one_of_settles_once(tmp_path: Path) -> None:
    """Its bracket has no layer; there is no median over layers, and no share of them."""
    blocks = []
    for step, value in ((0, 0.1), (4, 0.95), (8, 1.0)):
        place = Where("s", "m", 5, step, step / 8)
        blocks.append(tables.layer_block(place, "embedding", np.asarray(value), "cka", 128))
        blocks.append(tables.layer_block(place, "residual", np.array([value] * 3), "cka", 128))
    settled = stabilisation_rows.stabilisation(tables.table(blocks), ["cka"], [0.9], 0.2, {"m": 8})
    one = rows(settled, component="embedding")
    assert one["quantity"].tolist() == [
        "cka_stabilisation_fraction_0.9",
        "cka_stabilisation_step_0.9",
    ]
    assert one["layer"].isna().all() and one["head"].isna().all()
    assert one[["value", "low", "high", "n"]].to_numpy(float).tolist() == [
        [0.5, 0.0, 0.5, 3.0],
        [4.0, 0.0, 4.0, 3.0],
    ]
    many = rows(settled, component="residual")
    assert many["layer"].notna().sum() == 6 and many["layer"].isna().sum() == 3


@pytest.mark.parametrize("made", [effective_rank, convergence])
def test_a_restricted_metric_has_no_rows_of_other_components(
    made: ModuleType, tmp_path: Path
) -> None:
    attributes = {"study": "s", "model": "m", "parameters": 5, "step": 2, "rows": 4}
    if made is effective_rank:
        metrics = ["effective_rank", "hoyer"]
        arrays = {"mlp_out": np.array([[2.0, 1.0]]), "attention_ov_heads": np.ones((1, 2, 3))}
        store.write_arrays(tmp_path / "in.h5", arrays, attributes)
    else:
        metrics = ["cka", "hoyer"]
        one = {
            "mlp_out": Estimates.undefined((1,), 200),
            "attention_ov_heads": Estimates.undefined((1, 2), 200),
        }
        scores = store.Scores(dict.fromkeys(metrics, one), dict.fromkeys(metrics, "c"), attributes)
        store.write_scores(tmp_path / "in.h5", scores)
    read = made.table([tmp_path / "in.h5"], metrics, {"m": 4}, {"hoyer": ["mlp_out"]})
    read = read[read["quantity"].isin(metrics)]
    found_rows = read.groupby(["quantity", "component"]).size().to_dict()
    assert found_rows == {
        (metrics[0], "attention_ov"): 2,
        (metrics[0], "mlp_out"): 1,
        ("hoyer", "mlp_out"): 1,
    }
