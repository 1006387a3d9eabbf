"""Figures of the held-out loss and of the late phase: what is drawn is what the tables say."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from configs import config
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.core import plugins, tables
from tending.figures import Options
from tending.metrics.statistics.late_phase import of_losses
from tending.run import study_files
from tending.run.plan import Plan
from tending.stages.activations.loss_rows import loss_blocks
from tending.stages.synthesis import late_phase_rows

STEPS = (0, 16, 64, 128, 192, 256)
SIZES = {"small": 1000, "large": 2000, "larger": 2000}
MEANS = {  # the small one falls to the end, the others lose ground
    "small": (7.0, 6.0, 5.0, 4.5, 4.2, 4.0),
    "large": (7.0, 5.5, 4.0, 4.3, 4.5, 4.6),
    "larger": (7.0, 5.5, 4.2, 4.0, 4.005, 4.1),
}
OPTIONS = Options("s", ("cka",), ("entropy",), (0.9,), 0.2, 40, "last", tuple(SIZES))
Tables = Mapping[str, pd.DataFrame]


@pytest.fixture(scope="module")
def made() -> Tables:
    random = np.random.default_rng(0)
    late: list[tables.Columns] = []
    loss: list[tables.Columns] = []
    kl: list[tables.Columns] = []
    for model, means in MEANS.items():
        losses = np.array(means)[:, None] + random.normal(0, 0.05, (len(STEPS), 40))
        place = {"study": "s", "model": model, "parameters": SIZES[model]}
        found_late = of_losses(STEPS, losses)
        late += late_phase_rows.blocks(place, "held_out_loss", found_late, 256, 40)
        for step, values in zip(STEPS, losses, strict=True):
            where = tables.Where("s", model, SIZES[model], step, step / 256)
            loss += loss_blocks(where, values)
            ends = {"value": 3 - step / 90, "low": 2.9 - step / 90, "high": 3.1 - step / 90}
            kl.append({**vars(where), "definition": "correct", "n": [9]} | ends)
            kl[-1] = {**kl[-1], "quantity": "kl_to_reference"}
    named = {"late_phase": late, "loss": loss, "divergence": kl}
    return {name: tables.table(blocks) for name, blocks in named.items()}


def draw(name: str, made: Tables, *needed: str) -> tuple[Figure, list[Axes]]:
    figure = plugins.load("tending.figures", name, "figure").draw(
        {table: made[table] for table in needed}, OPTIONS
    )
    return figure, list(figure.axes)


def lines(ax: Axes, marker: str) -> list[tuple[Any, Any]]:
    return [line.get_data() for line in ax.get_lines() if line.get_marker() == marker]


def test_the_best_step_has_a_star_and_the_end_is_drawn_as_a_difference(made: Tables) -> None:
    _, (whole, end) = draw("loss_by_step", made, "loss", "late_phase")
    stars = [(float(x[0]), float(x[0]) / 256) for x, _ in lines(whole, "*")]
    assert [step for step, _ in stars] == [256, 64, 128]
    assert [float(x[0]) for x, _ in lines(end, "*")] == [fraction for _, fraction in stars]
    change = made["late_phase"]
    change = change[change["quantity"].eq("held_out_loss_change_to_end")]
    (drawn,) = [x for x in end.get_lines() if x.get_label() == "large"]
    # from the earliest best step on, which is before the second half
    assert list(drawn.get_xdata()) == [0.25, 0.5, 0.75, 1]
    wanted = -change[change["model"].eq("large")]["value"].to_numpy(dtype=float)[2:]
    np.testing.assert_allclose(drawn.get_ydata(), wanted)
    assert wanted[-1] == 0 and len(end.collections) == 3


def test_the_divergence_is_a_second_row_where_a_study_has_it(made: Tables) -> None:
    figure, axes = draw("loss_by_step", made, "loss", "late_phase", "divergence")
    assert len(axes) == 4 and "KL" in axes[2].get_ylabel()
    (line,) = [x for x in axes[2].get_lines() if x.get_label() == "small"]
    np.testing.assert_allclose(line.get_ydata(), 3 - np.array(STEPS) / 90)
    empty = {**made, **{n: tables.table([]) for n in ("loss", "late_phase")}}
    figure, axes = draw("loss_by_step", empty, "loss", "late_phase", "divergence")
    assert len(axes) == 2 and "star" not in figure.legends[0].get_title().get_text()
    with pytest.raises(ValueError, match="nothing to draw"):
        draw("loss_by_step", empty, "loss", "late_phase")


def test_rises_that_differ_from_nothing_are_filled(made: Tables) -> None:
    _, (ax,) = draw("late_phase", made, "late_phase")
    marks = [x for x in ax.get_lines() if len(np.atleast_1d(x.get_xdata())) == 1]
    marks = [x for x in marks if x.get_marker() in ("o", "s", "^")]
    hollow = [x.get_markerfacecolor() == "white" for x in marks]
    assert hollow == [True, False, False]
    places = [float(x.get_xdata()[0]) for x in marks]
    assert places[0] == 1000 and places[1] < 2000 < places[2]
    rise = made["late_phase"].query("quantity == 'held_out_loss_rise'").set_index("model")
    assert [float(x.get_ydata()[0]) for x in marks] == [rise.loc[m, "value"] for m in SIZES]
    assert ax.get_title(loc="left") == "lost ground: 2 of 3 models"


def test_a_study_in_which_none_lost_ground_says_so(made: Tables) -> None:
    table = made["late_phase"]
    _, (ax,) = draw("late_phase", {"late_phase": table[table["model"].eq("small")]}, "late_phase")
    assert ax.get_title(loc="left") == "lost ground: none of 1 model"
    assert ax.get_ylim()[1] < 0.02
    with pytest.raises(ValueError, match="has no rise of a held-out loss"):
        draw("late_phase", {"late_phase": tables.table([])}, "late_phase")


def test_a_table_that_a_figure_may_do_without_is_read_where_the_study_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planned = Plan(config())
    assert planned.optional_tables("late_phase") == []
    if "divergence" not in planned.tables():
        assert planned.optional_tables("loss_by_step") == []
    known = study_files.StudyFiles.tables
    monkeypatch.setattr(study_files.StudyFiles, "tables", lambda self: [*known(self), "divergence"])
    assert planned.optional_tables("loss_by_step") == ["divergence"]
    assert any("divergence" in path for path in planned.figure_inputs("loss_by_step"))
    assert (
        "loss_by_step" in Plan(config(lambda c: c.update(held_out_loss={"sequences": 0}))).figures()
    )
