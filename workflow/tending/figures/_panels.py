"""Axes and marks that several figures share."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from tending.figures import _select as select
from tending.figures._style import (
    FAINT,
    LEAST_HEIGHT,
    PAGE_HEIGHT,
    TWO_COLUMNS,
    Look,
    depth_colours,
)

Grid = list[list[Axes]]
STEP_LABEL = "training step"
_OFF_AXIS = 0.03
_SIZE_MARGIN = 1.6  # factor by which a size axis extends beyond the smallest and largest size
_SIZE_LABEL = 0.17  # share of a size axis that a label takes


def grid(
    rows: int, columns: int, row_height: float, extra: float, width: float = TWO_COLUMNS, **kw: Any
) -> tuple[Figure, Grid]:
    """Create a figure of rows x columns axes.

    row_height, extra (legend and labels), width: inches. The height is at most that of the page,
    and at least that of the labels beside a single row.
    """
    height = min(max(rows * row_height + extra, LEAST_HEIGHT), PAGE_HEIGHT)
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, [list(row) for row in figure.subplots(rows, columns, squeeze=False, **kw)]


def step_axis(ax: Axes, steps: Sequence[int], *, label: bool = True) -> None:
    """Set a symmetric logarithmic x axis (linear below 1) with ticks at 0 and the decades."""
    first, last = min(steps), max(steps)
    ax.set_xscale("symlog", linthresh=1, linscale=0.5)
    ticks = [0, *(10**k for k in range(12))]
    ticks = [t for t in ticks if first <= t <= last]
    minor = [m * 10**k for k in range(12) for m in range(2, 10)]
    if len(ticks) < 2:
        ticks, minor = sorted({first, last, *(steps if len(steps) <= 6 else ())}), []
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(FixedLocator([m for m in minor if first <= m <= last]))
    ax.xaxis.set_major_formatter(FuncFormatter(_step))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(-0.15 if first == 0 else first / 1.15, max(last, 1) * 1.2)
    if label:
        ax.set_xlabel(STEP_LABEL)


def _step(value: float, _: object = None) -> str:
    power = math.log10(value) if value >= 1000 else 0.5
    return rf"$10^{{{power:.0f}}}$" if power.is_integer() else f"{value:.0f}"


def score_limits(values: pd.Series, null: pd.Series | None = None) -> tuple[float, float]:
    """Return limits of a score axis: to 1 from 0, or from below the lowest score if negative.

    null: scores of permuted sequences; if some are near 0, the axis starts slightly below 0.
    """
    lowest = float(values.min())
    if null is not None and null.min() < _OFF_AXIS:
        lowest = min(lowest, -_OFF_AXIS)
    return (1.08 * lowest if lowest < 0 else 0.0), 1.02


def medians(ax: Axes, rows: pd.DataFrame, looks: dict[str, Look]) -> None:
    """Draw the median over rows for each model and step, with a band from quartile to quartile."""
    for i, (model, style) in enumerate(looks.items()):
        own = rows[rows["model"] == model]
        if own.empty:  # e.g. for a metric that is not computed for this component
            continue
        spread = select.quartiles(own)
        at = spread.index.to_numpy(dtype=float)
        lower, upper = spread["lower"].to_numpy(), spread["upper"].to_numpy()
        ax.fill_between(at, lower, upper, color=style.colour, alpha=0.15, linewidth=0)
        ax.plot(
            at,
            spread["median"].to_numpy(),
            color=style.colour,
            linestyle=style.dashes,
            marker=style.marker,
            # many checkpoints: evenly spaced markers, offset between models
            markevery=1 if len(at) <= 16 else (0.02 * i, 0.1),
            label=model,
        )


def model_legend(figure: Figure, looks: dict[str, Look], title: str, **marks: Any) -> None:
    """Add a legend of the models below the axes; `marks` are further properties of the keys."""
    keys = [
        Line2D([], [], **{"color": s.colour, "linestyle": s.dashes, "marker": s.marker, **marks})
        for s in looks.values()
    ]
    place_legend(figure, keys, list(looks), title)


def place_legend(figure: Figure, keys: Sequence[Line2D], labels: list[str], title: str) -> None:
    """Add a legend below the axes in as few rows of about equal length as the width allows."""
    fitting = max(1, int(15 * figure.get_figwidth()) // (max(map(len, labels)) + 8))
    rows = math.ceil(len(labels) / fitting)
    columns = math.ceil(len(labels) / rows)
    figure.legend(keys, labels, loc="outside lower center", ncols=columns, title=title)


def depth_bar(figure: Figure, axes: Grid) -> None:
    """Add the colour bar of relative depth, to the right of all axes."""
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), depth_colours()),
        ax=[ax for row in axes for ax in row],
        ticks=[0, 0.5, 1],
        label="relative depth (0: first, 1: last)",
        fraction=0.03,
        pad=0.01,
        aspect=40,
    )
    bar.outline.set_visible(False)


def size_axis(ax: Axes, sizes: Sequence[int]) -> None:
    """Set a logarithmic x axis with ticks at the sizes, as far as their labels fit."""
    low, high = sizes[0] / _SIZE_MARGIN, sizes[-1] * _SIZE_MARGIN
    shown = [sizes[0]]
    for size in sizes[1:]:
        if np.log(size / shown[-1]) >= _SIZE_LABEL * np.log(high / low):
            shown.append(size)
    ax.set_xscale("log")
    ax.set_xticks(shown, [select.count(size) for size in shown])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(low, high)


def category_axis(ax: Axes, steps: Sequence[int], most: int = 16) -> None:
    """Label columns 0, 1, 2, ... of equal width by step, at most about `most` of them."""
    every = math.ceil(len(steps) / most)
    shown = list(range(0, len(steps), every))
    if shown[-1] != len(steps) - 1:
        # the last label matters most; it replaces a neighbour it would overlap
        shown = [i for i in shown if len(steps) - 1 - i >= every] + [len(steps) - 1]
    ax.set_xticks(shown, [f"{steps[i]}" for i in shown], rotation=90)
    ax.set_xlabel(STEP_LABEL)


def outer_labels(axes: Grid, table: pd.DataFrame) -> None:
    """Label steps on the lowest axes only, if all models have the same steps."""
    steps = {tuple(select.steps(own)) for _, own in table.groupby("model")}
    for row in axes[:-1] if len(steps) == 1 else []:
        for ax in row:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)


def zero_line(ax: Axes) -> None:
    """Draw a faint line at 0 if the axis extends below it."""
    if ax.get_ylim()[0] < 0:
        ax.axhline(0, color=FAINT, linewidth=0.5, zorder=0)


def interval(ax: Axes, rows: pd.DataFrame, look: Look, label: str, i: int = 0) -> None:
    """Draw `value` against step as a line, with a band from `low` to `high` where known."""
    own = rows.sort_values("step")
    if own.empty:
        return
    at = own["step"].to_numpy(dtype=float)
    low, high = (own[c].to_numpy(dtype=float) for c in ("low", "high"))
    ax.fill_between(at, low, high, color=look.colour, alpha=0.18, linewidth=0)
    ax.plot(
        at,
        own["value"].to_numpy(dtype=float),
        color=look.colour,
        linestyle=look.dashes,
        marker=look.marker,
        markevery=1 if len(at) <= 16 else (0.02 * i, 0.1),
        label=label,
    )
