"""Perplexity and the table of the late phase: by hand, through the scripts, and in the summary."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tending.core import store, tables
from tending.core.tables import Where
from tending.figures import Options
from tending.metrics.statistics.late_phase import of_losses, of_means
from tending.report import late_phase_report
from tending.stages.activations import loss_rows
from tending.stages.synthesis import late_phase_rows
from tending.tables import late_phase as late_phase_table
from tending.tables import loss as loss_table

PLACE = Where("s", "m", 1000, 16, 0.25)
OPTIONS = Options("s", ("cka",), ("entropy",), (0.9,), 0.2, 64, "last", ("small", "large"))
STEPS = (0, 8, 16)
SIZES = {"large": 2000, "small": 1000}
COURSES = {"large": (5.0, 4.0, 3.0), "small": (5.0, 3.0, 3.5)}  # the small one loses ground


def made(model: str, n: int = 40) -> np.ndarray:
    """Losses of a course: noise that no test of 40 sequences mistakes for it."""
    random = np.random.default_rng(len(model))
    return np.array(COURSES[model])[:, None] + random.normal(0, 0.1, (3, n))


def late_table(n: int = 40, **losses: Any) -> pd.DataFrame:
    blocks: list[tables.Columns] = []
    for model in COURSES:
        late = of_losses(STEPS, losses.get(model, made(model, n)))
        place = {"study": "s", "model": model, "parameters": SIZES[model]}
        blocks += late_phase_rows.blocks(place, "held_out_loss", late, 32, n)
    return tables.table(blocks)


def rows(table: pd.DataFrame, quantity: str, model: str = "small") -> list[dict[str, Any]]:
    own = table[(table["quantity"] == quantity) & (table["model"] == model)]
    return own.to_dict("records")


def test_perplexity_is_the_exponential_of_the_loss_and_of_its_ends() -> None:
    losses = np.array([1.0, 2.0, 3.0, 4.0])
    (loss, loss_error), (value, error) = (
        blocks(PLACE, losses) for blocks in (loss_rows.loss_blocks, loss_rows.perplexity_blocks)
    )
    assert value["quantity"] == "perplexity" and value["n"] == [4]
    for end in ("value", "low", "high"):
        assert value[end] == pytest.approx(math.exp(loss[end]))
    assert error["value"] == pytest.approx(math.exp(2.5) * loss_error["value"])
    assert value["high"] - value["value"] > value["value"] - value["low"]
    uniform, none = loss_rows.perplexity_blocks(PLACE, np.full(1, math.log(50.0)))
    assert uniform["value"] == pytest.approx(50) and math.isnan(uniform["low"])
    assert math.isnan(none["value"])


def test_rows_of_a_model_and_of_its_steps() -> None:
    table = late_table()
    late = of_losses(STEPS, made("small"))
    (best,) = rows(table, "held_out_loss_best_step")
    assert (best["value"], best["low"], best["high"], best["n"]) == (8, 8, 8, 3)
    (rise,) = rows(table, "held_out_loss_rise")
    assert [rise[c] for c in ("value", "low", "high", "n")] == [late.rise, late.low, late.high, 40]
    (p,) = rows(table, "held_out_loss_rise_p")
    assert p["value"] == late.p and pd.isna(p["step"]) and pd.isna(p["progress"])
    change = rows(table, "held_out_loss_change_to_end")
    assert [row["step"] for row in change] == list(STEPS)
    assert [row["progress"] for row in change] == [0, 0.25, 0.5]
    assert [row["value"] for row in change] == list(late.change)
    assert [row["low"] for row in change] == list(late.change_low)
    assert [row["value"] for row in rows(table, "held_out_loss_best_p")] == list(late.best_p)
    assert len(table) == 2 * (3 + 2 * 3)


def test_another_outcome_has_its_own_names_and_may_lack_errors() -> None:
    late = of_means([0.2, 0.5, 0.4], [np.nan] * 3, STEPS, higher_is_better=True)
    place = {"study": "s", "model": "small", "parameters": 1000}
    table = tables.table(late_phase_rows.blocks(place, "task:acc", late, 32, None))
    (best,) = rows(table, "task:acc_best_step")
    assert best["value"] == 8 and pd.isna(best["low"])
    (rise,) = rows(table, "task:acc_rise")
    assert rise["value"] == pytest.approx(0.1) and pd.isna(rise["low"]) and pd.isna(rise["n"])
    assert pd.isna(rows(table, "task:acc_rise_p")[0]["value"])


def test_tables_read_the_losses_of_every_checkpoint(tmp_path: Path) -> None:
    """In any order of the files; one without losses has no rows."""
    paths = []
    for model in COURSES:
        for step, losses in zip(STEPS, made(model), strict=True):
            paths.append(tmp_path / f"{model}{step}.h5")
            place = {"study": "s", "model": model, "parameters": SIZES[model], "step": step}
            store.write_arrays(paths[-1], {store.LOSS: losses}, place)
    paths.append(tmp_path / "none.h5")
    store.write_arrays(paths[-1], {}, {**place, "model": "none"})
    lengths = {"small": 32, "large": 32, "none": 32}
    wanted = late_table().sort_values(["model", "quantity", "step"], ignore_index=True)
    found = late_phase_table.table(paths[::-1], lengths)
    found = found.sort_values(["model", "quantity", "step"], ignore_index=True)
    pd.testing.assert_frame_equal(found, wanted)
    table = loss_table.table(paths, lengths)
    assert len(table) == 2 * 3 * 4
    at = table[table["quantity"].eq("perplexity") & table["model"].eq("small")]
    assert at["value"].iloc[1] == pytest.approx(math.exp(made("small")[1].mean()))


# In the summary


def test_the_summary_says_who_lost_ground() -> None:
    frame = late_phase_report.late_phase(late_table(), OPTIONS).set_index("model")
    assert list(frame.index) == ["small", "large"]
    assert frame.loc["small", "verdict"] == "lost ground: worse at the end than at its best"
    verdict = frame.loc["large", "verdict"]
    assert verdict == "no rise: the last checkpoint is better than every other"
    page = late_phase_report.late_html(late_table(), OPTIONS)
    assert "1 of 2 models has lost ground since the best checkpoint: small." in page


@pytest.mark.parametrize(
    ("level", "verdict"),
    [
        ((5.0, 3.0, 2.999), "no rise: the last checkpoint is the best seen, others may be as good"),
        (
            (5.0, 3.0, 3.001),
            "no rise beyond chance: the last checkpoint may be as good as the best",
        ),
    ],
)
def test_what_cannot_be_told_is_said_so(level: tuple[float, ...], verdict: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (3, 40))
    losses = np.array(level)[:, None] + noise - noise.mean(axis=1, keepdims=True)
    table = late_table(small=losses)
    (row,) = (
        late_phase_report.late_phase(table, OPTIONS).query("model == 'small'").to_dict("records")
    )
    assert row["verdict"] == verdict and row["among_best"] == [8, 16]
    page = late_phase_report.late_html(table, OPTIONS)
    assert "None of 2 models is found to have lost ground" in page
    assert "2 steps, 8 to 16" in page


def test_what_is_not_judged_or_not_there_is_not_shown_as_a_number() -> None:
    page = late_phase_report.late_html(late_table(n=1), OPTIONS)
    assert "not assessed" in page and "nan" not in page.lower()
    assert late_phase_report.late_html(tables.table([]), OPTIONS) == ""
