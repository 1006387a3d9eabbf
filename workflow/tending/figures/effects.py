"""Settling times of layers against a model's size, by learning rate."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import FAINT, Look, model_looks, styled
from tending.metrics.statistics import means
from tending.stages.convergence.stabilisation_rows import fraction_quantity
from tending.stages.synthesis.effects import CORRELATION, PEAK, RATE, SIZE, UNADJUSTED

TABLES = ("stabilisation", "effects")
TITLE = "Settling by size and learning rate"
CATEGORY = "Stabilisation"

_UNKNOWN = "unknown"
_APART = 1.12  # horizontal factor between learning rates at one size


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: components; columns: thresholds; a point per model, a colour per learning rate."""
    table, effects, metric = tables["stabilisation"], tables["effects"], options.lead_metric
    quantities = [fraction_quantity(metric, t) for t in options.thresholds]
    components = select.components(table, quantities)
    rates = _rates(table, effects)
    looks = model_looks(list(dict.fromkeys(rates.sort_values(ascending=False).map(_label))))
    figure, axes = _panels.grid(
        len(components), len(quantities), 2.2, 0.8, sharex=True, sharey=True
    )
    for component, row in zip(components, axes, strict=True):
        for quantity, ax in zip(quantities, row, strict=True):
            points = select.of_model(table, quantity, component).set_index("model")
            _points(ax, points, rates.map(_label), looks, options)
            title = f"{select.metric_label(metric)} $\\geq$ {quantity.split('_')[-1]}\n"
            ax.set_title(title + _found(effects, quantity, component), loc="left", fontsize=7)
            _panels.size_axis(ax, sorted({int(p) for p in table["parameters"].dropna()}))
        row[0].set_ylabel(f"{select.component_label(component)}\nsettled from this fraction on")
    for ax in axes[-1]:
        ax.set_xlabel("parameters")
    axes[0][0].set_ylim(-0.03, 1.05)
    _legend(figure, looks, _told_apart(effects), with_means=bool(options.groups))
    return figure


def _rates(table: pd.DataFrame, effects: pd.DataFrame) -> pd.Series:
    """Return the peak learning rate by model; NaN where unknown."""
    known = select.correct(effects, PEAK).set_index("model")["value"]
    return known.reindex(table["model"].dropna().unique())


def _label(rate: float) -> str:
    return _UNKNOWN if np.isnan(rate) else f"{rate:g}"


def _points(
    ax: Axes, points: pd.DataFrame, rates: pd.Series, looks: dict[str, Look], options: Options
) -> None:
    """Draw every model with its bracket, and the mean of every group with its interval."""
    for i, (label, look) in enumerate(looks.items()):
        own = points[rates.reindex(points.index) == label]
        aside = _APART ** (i - (len(looks) - 1) / 2)
        at = own["parameters"].to_numpy(dtype=float) * aside
        line: dict[str, Any] = {"color": look.colour, "linewidth": 0.6, "alpha": 0.35}
        ax.vlines(at, own["low"].to_numpy(), own["high"].to_numpy(), **line)
        hollow: dict[str, Any] = {"markerfacecolor": "none", "markeredgewidth": 0.6, "alpha": 0.8}
        ax.plot(at, own["value"].to_numpy(), look.marker, color=look.colour, **hollow)
        for _, seeds in own.groupby(own.index.map(options.groups)):
            mean = means.mean(seeds["value"].to_numpy())
            place = float(seeds["parameters"].iloc[0]) * aside * _APART**0.4
            half = np.nan_to_num(mean.high - mean.value)
            bar: dict[str, Any] = {
                "color": look.colour,
                "markersize": 4.5,
                "capsize": 2,
                "elinewidth": 1.1,
            }
            ax.errorbar(place, float(mean.value), yerr=half, fmt=look.marker, **bar)


def _found(effects: pd.DataFrame, quantity: str, component: str) -> str:
    """Describe the effects of one panel, per doubling."""
    names = {SIZE: "size", RATE: "rate", UNADJUSTED: "size alone"}
    lines = []
    for name, words in names.items():
        rows = select.correct(effects, f"{quantity}_{name}")
        rows = rows[(rows["component"] == component) & rows["value"].notna()]
        for value, low, high in rows[["value", "low", "high"]].itertuples(index=False):
            ends = f" [{_signed(low)}, {_signed(high)}]" if np.isfinite(low) else ""
            lines.append(f"{words} {_signed(value)}{ends}")
    return "\n".join(lines or ["no effect can be given"])


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"  # no negative zero


def _told_apart(effects: pd.DataFrame) -> str:
    """Describe whether the study can separate effects of size and learning rate."""
    given = effects[effects["quantity"].str.endswith((SIZE, RATE))]
    if given.loc[given["definition"] == "correct", "value"].notna().any():
        return "effects of a doubling of size and of rate, of each at the other's level"
    together = float(select.correct(effects, CORRELATION)["value"].iloc[0])
    if np.isnan(together):
        return "the learning rate is unknown or the same for all: no effect of it can be given"
    return f"size and learning rate cannot be told apart here (correlation {together:.2f})"


def _legend(figure: Figure, looks: dict[str, Look], note: str, *, with_means: bool) -> None:
    hollow: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "none"}
    keys = [Line2D([], [], color=s.colour, marker=s.marker, **hollow) for s in looks.values()]
    labels = [f"rate {label}" for label in looks]
    keys.append(Line2D([], [], color=FAINT, linewidth=0.8))
    labels.append("bracket of one model")
    if with_means:
        keys.append(Line2D([], [], color="0.3", marker="o"))
        labels.append("mean over seeds, 95 %")
    _panels.place_legend(figure, keys, labels, f"median over layers; {note}")
