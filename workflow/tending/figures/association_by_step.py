"""Correlation of rank with settling times and early similarities, by the step of the rank."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tending.figures import Options, _association, _panels
from tending.figures import _select as select
from tending.figures._style import FAINT, Look, model_looks, styled

TABLES = ("convergence", "effective_rank", "association")
TITLE = "When rank goes with settling"
CATEGORY = "Effective rank"

_POOLED = "black"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: components' layers and heads; columns: outcomes; models thin, pooled with band."""
    asked, rows = _association.asked(tables, options), _association.rows(tables, options)
    outcomes, table = _association.outcomes(asked), tables["association"]
    looks = model_looks(select.models(tables["convergence"], options))
    figure, axes = _panels.grid(len(rows), len(outcomes), 1.6, 0.9, sharex=True, sharey=True)
    for row, panels in zip(rows, axes, strict=True):
        for (outcome, label), ax in zip(outcomes.items(), panels, strict=True):
            found = _association.correlations(table, row, asked, "step", outcome)
            within = _association.correlations(
                table, row, asked, "step", outcome, _association.WITHIN
            )
            _lines(ax, found, within[within["model"].isna()] if row.kind else found[:0], looks)
            ax.axhline(0, color=FAINT, linewidth=0.5, zorder=0)
            if row is rows[0]:
                ax.set_title(" ".join(label.split("\n")))
            last = row is rows[-1]
            _panels.step_axis(ax, select.steps(tables["effective_rank"]), label=last)
            if last:
                ax.set_xlabel("training step at which rank is taken")
        panels[0].set_ylabel(f"{row.label}\nSpearman's $\\rho$")
        panels[0].set_ylim(-1.05, 1.05)
    _legend(figure, looks, any(row.kind for row in rows), _association.how_many(table))
    return figure


def _lines(ax: Axes, found: pd.DataFrame, within: pd.DataFrame, looks: dict[str, Look]) -> None:
    found = found[found["value"].notna()].sort_values("step")
    if found.empty:
        ax.text(0.5, 0.5, _association.FEW, transform=ax.transAxes, ha="center", va="bottom")
        return
    for model, look in looks.items():
        own = found[found["model"] == model]
        ax.plot(
            own["step"],
            own["value"],
            color=look.colour,
            linestyle=look.dashes,
            linewidth=0.7,
            marker=look.marker,
            markersize=2.2,
            markevery=1 if len(own) <= 16 else 0.1,
            alpha=0.8,
            label=model,
        )
    pooled = found[found["model"].isna()]
    at = pooled["step"].to_numpy(dtype=float)
    ax.fill_between(at, pooled["low"], pooled["high"], color="0.5", alpha=0.25, linewidth=0)
    ax.plot(at, pooled["value"], color=_POOLED, linewidth=1.6, label="pooled")
    within = within.sort_values("step")
    ax.plot(within["step"], within["value"], color=_POOLED, linewidth=1, linestyle=(0, (1, 1)))


def _legend(figure: Figure, looks: dict[str, Look], heads: bool, note: str) -> None:
    models = [
        Line2D([], [], color=s.colour, linestyle=s.dashes, marker=s.marker, linewidth=0.7)
        for s in looks.values()
    ]
    keys = [*models, Line2D([], [], color=_POOLED, linewidth=1.6)]
    labels = [*looks, "pooled, 95 % interval"]
    if heads:
        keys.append(Line2D([], [], color=_POOLED, linewidth=1, linestyle=(0, (1, 1))))
        labels.append("pooled within layers")
    _panels.place_legend(figure, keys, labels, f"pooled within models; {note}")
