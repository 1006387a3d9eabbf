"""Score against training step, one line per layer."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import depth_colours, styled

TABLES = ("convergence",)
TITLE = "Convergence of every layer (lines)"
CATEGORY = "Convergence"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: models, smallest first; columns: components; colour: relative depth."""
    table, metric = tables["convergence"], options.lead_metric
    components = select.components(table, [metric])
    models = select.models(table, options)
    figure, axes = _panels.grid(len(models), len(components), 1.55, 0.5, sharex=True, sharey=True)
    scores = {c: select.by_layer(table, metric, c) for c in components}
    for model, row in zip(models, axes, strict=True):
        for component, ax in zip(components, row, strict=True):
            rows = scores[component]
            _lines(ax, select.layer_by_step(rows[rows["model"] == model]))
            _panels.step_axis(ax, select.steps(table), label=row is axes[-1])
            ax.set_title(f"{model}: {select.component_label(component)}", loc="left")
    axes[0][0].set_ylim(*_panels.score_limits(pd.concat(scores.values())["value"]))
    for row in axes:
        for ax in row:
            _panels.zero_line(ax)
    _panels.depth_bar(figure, axes)
    label = f"{select.metric_label(metric)} with the reference step"
    figure.supylabel(
        f"{label}\n{select.probe_label(table, options)}", fontsize=7.5, multialignment="center"
    )
    return figure


def _lines(ax: Axes, scores: pd.DataFrame) -> None:
    colours = depth_colours()
    steps = scores.columns.to_numpy(dtype=float)
    deepest = max(len(scores) - 1, 1)
    width = 1.2 if len(scores) <= 8 else 0.7
    for depth, (layer, values) in enumerate(scores.iterrows()):
        ax.plot(
            steps,
            values.to_numpy(dtype=float),
            color=colours(depth / deepest),
            linewidth=width,
            marker="o" if len(steps) == 1 else None,  # a line of one point is not drawn
            label=f"layer {layer}",
        )
