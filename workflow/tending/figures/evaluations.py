"""Benchmark scores over training, one panel per task and metric."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import Look, model_looks, styled
from tending.stages.evaluations.evaluation_table import direction_quantity, error_quantity

TABLES = ("evaluations",)
TITLE = "Benchmark scores over training"
CATEGORY = "Evaluations"

MOST = 12  # panels; further scores are only in the table
_COLUMNS = 3


def names(table: pd.DataFrame) -> list[str]:
    """Return the quantities of an evaluation table that are scores, in its order."""
    beside = (error_quantity(""), direction_quantity(""))
    return [str(q) for q in table["quantity"].unique() if not str(q).endswith(beside)]


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Draw every model's score with its band, and a ring at its best step where known."""
    table = tables["evaluations"]
    own, every = table[table["model"].notna()], names(table)
    if not every:
        raise ValueError("nothing to draw: the table `evaluations` has no score")
    looks = model_looks(select.models(own, options))
    shown = every[:MOST]
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = _panels.grid(rows, columns, 1.6, 0.8, sharex=True)
    panels = [ax for row in axes for ax in row]
    for name, ax in zip(shown, panels, strict=False):
        _scores(ax, table, name, looks)
        _panels.step_axis(ax, select.steps(own))
        ax.set_title("\n".join(name.rsplit(":", 1)))
    for i, ax in enumerate(panels):
        ax.label_outer()
        if i >= len(shown):
            ax.set_visible(False)
        elif i + columns >= len(shown):
            ax.tick_params(labelbottom=True)
            ax.set_xlabel(_panels.STEP_LABEL)
        ax.tick_params(labelleft=True)
    title = "band: 95 % interval where a standard error is given; ring: best step"
    if len(every) > MOST:
        title += f"; {MOST} of {len(every)} scores, the others in the table"
    _panels.model_legend(figure, looks, title)
    return figure


def _scores(ax: Axes, table: pd.DataFrame, name: str, looks: dict[str, Look]) -> None:
    rows = select.correct(table, name)
    direction = select.correct(table, direction_quantity(name))["value"]
    for i, (model, look) in enumerate(looks.items()):
        own = rows[rows["model"] == model]
        _panels.interval(ax, own, look, model, i)
        if own.empty or direction.empty:
            continue
        best = own.sort_values("value", ascending=not direction.iloc[0]).iloc[0]
        ax.plot(
            [float(best["step"])],
            [float(best["value"])],
            marker="o",
            markersize=8,
            markerfacecolor="none",
            markeredgecolor=look.colour,
            markeredgewidth=0.8,
            linestyle="none",
        )
