"""Settling time of each layer, as a bracket between two checkpoints."""

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
from tending.stages.convergence.stabilisation_intervals import interval_quantity
from tending.stages.convergence.stabilisation_rows import fraction_quantity, share_quantity

TABLES = ("stabilisation",)
TITLE = "When layers settle"
CATEGORY = "Stabilisation"

_LANE = 0.8  # used share of a model's lane; the rest is a gap
_NEVER = 1.06  # where a layer that never settles is marked, beyond the end of training
_SHARE = 1.2


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: components; columns: thresholds; a lane per model, layers by relative depth."""
    table, metric = tables["stabilisation"], options.lead_metric
    quantities = [fraction_quantity(metric, t) for t in options.thresholds]
    components = select.components(table, quantities)
    looks = model_looks(select.models(table, options))
    figure, axes = _panels.grid(
        len(components), len(quantities), 0.4 + 0.5 * len(looks), 0.8, sharex=True, sharey=True
    )
    for component, row in zip(components, axes, strict=True):
        for threshold, ax in zip(options.thresholds, row, strict=True):
            _lanes(ax, table, fraction_quantity(metric, threshold), component, looks)
            _shares(ax, table, share_quantity(metric, threshold), component, list(looks))
            _frame(ax, list(looks), options.early)
            if row is axes[0]:
                title = f"{select.metric_label(metric)} $\\geq$ {threshold:g}"
                ax.set_title(title, loc="left")
            if row is axes[-1]:
                ax.set_xlabel("settled from this fraction\nof training on")
        row[0].set_ylabel(select.component_label(component))
    _legend(figure, options.early)
    return figure


def _lanes(
    ax: Axes, table: pd.DataFrame, quantity: str, component: str, looks: dict[str, Look]
) -> None:
    layers = select.by_layer(table, quantity, component)
    intervals = select.by_layer(table, interval_quantity(quantity), component)
    medians = select.of_model(table, quantity, component).set_index("model")["value"]
    for lane, (model, look) in enumerate(looks.items()):
        own = layers[layers["model"] == model].sort_values("layer")
        if own.empty:
            continue
        height = lane + _LANE * (_relative_depth(own) - 0.5)
        settled = own["value"].notna().to_numpy()
        width = 1.6 if len(own) <= 12 else 0.8
        high = own["high"].to_numpy()[settled]
        low = own["low"].to_numpy()[settled]
        ax.hlines(height[settled], low, high, color=look.colour, linewidth=width)
        ax.plot(high, height[settled], "|", color=look.colour, markersize=2 * width + 1)
        _whiskers(ax, intervals[intervals["model"] == model], own, height, look.colour)
        never = height[~settled]
        ax.plot(np.full(len(never), _NEVER), never, "x", color=look.colour, markersize=3)
        median = medians.get(model, np.nan)
        if np.isfinite(median):
            ax.vlines(median, lane - 0.46, lane + 0.46, color="black", linewidth=1.1, zorder=1)


def _whiskers(
    ax: Axes, intervals: pd.DataFrame, own: pd.DataFrame, height: np.ndarray, colour: str
) -> None:
    """Draw each bracket's interval, up to the `never` mark if it has no upper end."""
    ends = own[["layer"]].merge(intervals, on="layer", how="left")
    low, high = (ends[name].to_numpy(dtype=float) for name in ("low", "high"))
    high = np.where(np.isnan(high), _NEVER, high)
    known = ~np.isnan(low)
    thin: dict[str, Any] = {"color": colour, "linewidth": 0.5, "alpha": 0.6, "zorder": 1.5}
    ax.hlines(height[known], low[known], high[known], **thin)


def _relative_depth(own: pd.DataFrame) -> np.ndarray:
    """Compute layer / (layers - 1), in [0, 1]; 0.5 for a model with one layer."""
    layer = own["layer"].to_numpy(dtype=float)
    return layer / layer.max() if layer.max() > 0 else np.full(len(layer), 0.5)


def _frame(ax: Axes, models: list[str], early: float) -> None:
    ax.axvline(early, color=FAINT, linestyle=(0, (4, 2)), linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(models)), models)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.55, len(models) - 0.25)
    ax.set_xlim(-0.02, _SHARE + 0.1)
    ax.spines["bottom"].set_bounds(0, 1)
    ax.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", "0.2", "0.4", "0.6", "0.8", "1"])


def _shares(
    ax: Axes, table: pd.DataFrame, quantity: str, component: str, models: list[str]
) -> None:
    """Write beside each lane the share of its layers that settled early."""
    shares = select.of_model(table, quantity, component).set_index("model")["value"]
    texts = {i: f"{100 * shares[m]:.0f} %" for i, m in enumerate(models) if m in shares.index}
    for lane, text in [*texts.items(), (len(models) - 0.4, "share")]:
        ax.text(_SHARE, lane, text, va="center", ha="center", fontsize=7)


def _legend(figure: Figure, early: float) -> None:
    keys = [
        Line2D([], [], color="0.3", marker="|", markersize=4, markevery=[1]),
        Line2D([], [], color="0.3", linewidth=0.5),
        Line2D([], [], color="black", marker="|", markersize=8, linestyle="none"),
        Line2D([], [], color="0.3", marker="x", markersize=3, linestyle="none"),
        Line2D([], [], color=FAINT, linestyle=(0, (4, 2)), linewidth=0.8),
    ]
    labels = [
        "one layer: (last checkpoint before, first settled]",
        "its 95 % interval over resampled sequences",
        "median over layers",
        "never settles",
        f"{100 * early:g} % of training; share: layers settled by then",
    ]
    title = "within a lane, layers by relative depth, the first at the bottom"
    figure.legend(keys, labels, loc="outside lower center", ncols=2, title=title)
