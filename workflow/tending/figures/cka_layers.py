"""Score against training step, one line per layer."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tending.figures import Options, _nulls, _panels
from tending.figures import _select as select
from tending.figures._style import depth_colours, styled

TABLES = ("convergence",)
TITLE = "Convergence of every layer (lines)"
CATEGORY = "Convergence"

_SHADE = 0.2


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: models, smallest first; columns: components; colour: relative depth."""
    table, metric = tables["convergence"], options.lead_metric
    components = select.components(table, [metric])
    models = select.models(table, options)
    figure, axes = _panels.grid(len(models), len(components), 1.55, 0.7, sharex=True, sharey=True)
    scores = {c: select.by_layer(table, metric, c) for c in components}
    nulls = {c: select.null(table, metric, c) for c in components}
    for model, row in zip(models, axes, strict=True):
        for component, ax in zip(components, row, strict=True):
            rows, null = scores[component], nulls[component]
            _nulls.band(ax, _nulls.by_step(null[null["model"] == model]))
            _lines(ax, rows[rows["model"] == model])
            _panels.step_axis(ax, select.steps(table), label=row is axes[-1])
            ax.set_title(f"{model}: {select.component_label(component)}", loc="left")
    shown = pd.concat([rows[end] for rows in scores.values() for end in ("value", "low")])
    axes[0][0].set_ylim(*_panels.score_limits(shown, pd.concat(nulls.values())["low"]))
    for row in axes:
        for ax in row:
            _panels.zero_line(ax)
    _panels.depth_bar(figure, axes)
    label = f"{select.metric_label(metric)} with the reference step"
    figure.supylabel(
        f"{label}\n{select.probe_label(table, options)}", fontsize=7.5, multialignment="center"
    )
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    colour = depth_colours()(0.5)
    line = Patch(facecolor=colour, alpha=_SHADE, linewidth=0), Line2D([], [], color=colour)
    keys: list[Any] = [line, _nulls.key()]
    labels = ["a layer, with its 95 % interval", f"{_nulls.LABEL} of all layers"]
    figure.legend(keys, labels, loc="outside lower center", ncols=2)


def _lines(ax: Axes, rows: pd.DataFrame) -> None:
    scores = select.layer_by_step(rows)
    low, high = (select.layer_by_step(rows, c).to_numpy(dtype=float) for c in ("low", "high"))
    colours = depth_colours()
    steps = scores.columns.to_numpy(dtype=float)
    deepest = max(len(scores) - 1, 1)
    width = 1.2 if len(scores) <= 8 else 0.7
    for depth, (layer, values) in enumerate(scores.iterrows()):
        shade: dict[str, Any] = {"color": colours(depth / deepest), "alpha": _SHADE, "lw": 0}
        ax.fill_between(steps, low[depth], high[depth], **shade)
        ax.plot(
            steps,
            values.to_numpy(dtype=float),
            color=colours(depth / deepest),
            linewidth=width,
            marker="o" if len(steps) == 1 else None,  # a line of one point is not drawn
            label=f"layer {layer}",
        )
