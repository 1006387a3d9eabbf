"""Score against the number of sequences: biased CKA decreases towards debiased CKA."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import FAINT, styled

TABLES = ("sample_size",)
TITLE = "Scores by number of sequences"
CATEGORY = "Convergence"

_MODELS = 3  # at most, spread over sizes; more columns would be too narrow
_COLOURS = ("#33668f", "#c1542f", "#5d8a3a")  # of steps, early to late
_LINES: dict[str, tuple[Any, str]] = {"cka": ("solid", "o"), "cka_debiased": ((0, (4, 1.5)), "s")}
_NULL: Any = (0, (1, 1.5))
_APART = 1.05  # horizontal factor between marks of one n, so that intervals do not overlap


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: components; columns: models; one middle layer; colours: an early and a middle step."""
    table = tables["sample_size"]
    metrics = [m for m in options.metrics if (table["quantity"] == m).any()]
    components = select.components(table, metrics)
    models = _spread(select.models(table, options), _MODELS)
    shown = _steps(select.steps(table[table["quantity"].isin(metrics)]))
    figure, axes = _panels.grid(len(components), len(models), 1.9, 0.9, sharex=True, sharey=True)
    ends = [0.0]
    for component, row in zip(components, axes, strict=True):
        for model, ax in zip(models, row, strict=True):
            own = table[table["model"] == model]
            layer = _middle(own, metrics, component)
            ends += _panel(ax, own, metrics, shown, component, layer)
            depth = f", layer {layer} (0 to {select.layers(own, model) - 1})"
            ax.set_title(f"{model}{depth}" if row is axes[0] else "")
            _size_axis(ax, table, label=row is axes[-1])
        row[0].set_ylabel(f"{select.component_label(component)}\nscore with the reference step")
    axes[0][0].set_ylim(1.05 * min(ends), min(1.05 * max(ends), 1.02))
    for ax in [ax for row in axes for ax in row]:
        ax.axhline(0, color=FAINT, linewidth=0.5, zorder=0)
    _legend(figure, metrics, shown, table)
    return figure


def _panel(
    ax: Axes,
    table: pd.DataFrame,
    metrics: Sequence[str],
    shown: Sequence[int],
    component: str,
    layer: int,
) -> list[float]:
    """Draw one layer of one model; return the ends of its intervals."""
    ends: list[float] = []
    for i, step in enumerate(shown):
        at = table[table["step"] == step]
        for j, metric in enumerate(metrics):
            lane = i * len(metrics) + j - (len(shown) * len(metrics) - 1) / 2
            rows = _rows(at, metric, component, layer)
            ends += [*rows["low"].dropna(), *rows["high"].dropna()]
            _line(ax, rows, metric, _COLOURS[i], _APART**lane)
        _null(ax, _rows(at, f"{metrics[0]}_null", component, layer), _COLOURS[i])
    return ends


def _spread(items: Sequence[str], most: int) -> list[str]:
    """Pick at most `most` evenly spaced items, including the first and the last."""
    picked = np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int))
    return [items[i] for i in picked]


def _steps(steps: Sequence[int]) -> list[int]:
    """Pick the first and the middle of the steps that are compared."""
    return list(dict.fromkeys([steps[0], steps[len(steps) // 2]]))


def _middle(table: pd.DataFrame, metrics: Sequence[str], component: str) -> int:
    """Return the middle layer of a component, the later of two; -1 if it has none."""
    rows = table[(table["component"] == component) & table["quantity"].isin(metrics)]
    layers = sorted({int(layer) for layer in rows["layer"].dropna()})
    return layers[len(layers) // 2] if layers else -1  # then nothing is drawn


def _rows(table: pd.DataFrame, quantity: str, component: str, layer: int) -> pd.DataFrame:
    kept = select.correct(table, quantity)
    return kept[(kept["component"] == component) & (kept["layer"] == layer)].sort_values("n")


def _line(ax: Axes, rows: pd.DataFrame, metric: str, colour: str, shift: float) -> None:
    value = rows["value"].to_numpy()
    ends = np.stack([value - rows["low"].to_numpy(), rows["high"].to_numpy() - value])
    dashes, marker = _LINES.get(metric, ("solid", "o"))
    ax.errorbar(
        rows["n"].to_numpy(dtype=float) * shift,
        value,
        np.clip(ends, 0, None),
        color=colour,
        linestyle=dashes,
        marker=marker,
        markerfacecolor=colour if metric == "cka" else "white",
        markersize=2.8,
        elinewidth=0.8,
        label=metric,
    )


def _null(ax: Axes, rows: pd.DataFrame, colour: str) -> None:
    at = rows["n"].to_numpy(dtype=float)
    mean, high = rows["value"].to_numpy(), rows["high"].to_numpy()
    ax.fill_between(at, mean, high, color=colour, alpha=0.15, linewidth=0)
    ax.plot(at, mean, color=colour, linestyle=_NULL, linewidth=1, label="null")


def _size_axis(ax: Axes, table: pd.DataFrame, *, label: bool) -> None:
    """Set a logarithmic x axis with ticks at the numbers of sequences, every second if many."""
    sizes = sorted({int(n) for n in table["n"].dropna()})
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(sizes[:: 1 + (len(sizes) > 4)]))
    ax.xaxis.set_minor_locator(FixedLocator(sizes))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)
    if label:
        ax.set_xlabel("number of sequences")


def _legend(
    figure: Figure, metrics: Sequence[str], shown: Sequence[int], table: pd.DataFrame
) -> None:
    keys, labels = [], []
    for step, colour in zip(shown, _COLOURS, strict=False):
        keys.append(Line2D([], [], color=colour, linewidth=3))
        labels.append(f"step {step}")
    for metric in metrics:
        dashes, marker = _LINES.get(metric, ("solid", "o"))
        key = Line2D([], [], color="0.3", linestyle=dashes, marker=marker)
        key.set_markerfacecolor("0.3" if metric == "cka" else "white")
        keys.append(key)
        labels.append(select.metric_label(metric))
    keys.append(Line2D([], [], color="0.3", linestyle=_NULL, linewidth=1))
    labels.append(f"{select.metric_label(metrics[0])}, sequences permuted")
    _panels.place_legend(figure, keys, labels, "bars: 95 % interval; shade: to the 95 % quantile")
