"""Distribution of scores over layers at each step, as box plots."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.figures import Options, _nulls, _panels
from tending.figures import _select as select
from tending.figures._style import Look, model_looks, styled

TABLES = ("convergence",)
TITLE = "Spread of convergence over layers"
CATEGORY = "Convergence"

_MOST_STEPS = 30
_FEW_LAYERS = 8


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: models, smallest first; columns: components; one box over layers per step."""
    table, metric = tables["convergence"], options.lead_metric
    components = select.components(table, [metric])
    looks = model_looks(select.models(table, options))
    figure, axes = _panels.grid(len(looks), len(components), 1.6, 0.7, sharey=True)
    scores = {c: select.by_layer(table, metric, c) for c in components}
    nulls = {c: select.null(table, metric, c) for c in components}
    for (model, look), row in zip(looks.items(), axes, strict=True):
        for component, ax in zip(components, row, strict=True):
            rows, null = scores[component], nulls[component]
            layers = select.layer_by_step(rows[rows["model"] == model])
            _boxes(ax, layers, look, _nulls.by_step(null[null["model"] == model]))
            number = f"{len(layers)} layer{'s' if len(layers) != 1 else ''}"
            ax.set_title(f"{model}: {select.component_label(component)}, {number}", loc="left")
    shown = pd.concat(scores.values())["value"]
    axes[0][0].set_ylim(*_panels.score_limits(shown, pd.concat(nulls.values())["low"]))
    _panels.outer_labels(axes, table)
    for row in axes:
        for ax in row:
            _panels.zero_line(ax)
    label = f"{select.metric_label(metric)} with the reference step"
    figure.supylabel(
        f"{label}\n{select.probe_label(table, options)}", fontsize=7.5, multialignment="center"
    )
    figure.legend([_nulls.key()], [f"{_nulls.LABEL} of all layers"], loc="outside lower center")
    return figure


def _boxes(ax: Axes, scores: pd.DataFrame, look: Look, null: pd.DataFrame) -> None:
    if scores.empty:
        ax.set_axis_off()
        return
    steps = scores.shape[1]
    even = np.linspace(0, steps - 1, min(steps, _MOST_STEPS)).round().astype(int)
    shown = scores.iloc[:, even]
    values = [v[~np.isnan(v)] for v in shown.to_numpy(dtype=float).T]
    few = len(scores) <= _FEW_LAYERS
    behind = null.reindex(shown.columns)
    _nulls.band(ax, behind, at=np.arange(len(values), dtype=float))
    line = {"color": look.colour, "linewidth": 0.6}
    ax.boxplot(
        values,
        positions=range(len(values)),
        widths=0.65,
        showfliers=not few,
        patch_artist=True,
        boxprops={"facecolor": f"{look.colour}33", "edgecolor": look.colour, "linewidth": 0.6},
        whiskerprops=line,
        capprops=line,
        medianprops={"color": "black", "linewidth": 0.9},
        flierprops={"marker": ".", "markersize": 1.8, "markeredgecolor": look.colour},
    )
    if few:
        at = np.repeat(np.arange(len(values)), [len(v) for v in values])
        ax.plot(at, np.concatenate(values), look.marker, color=look.colour, markersize=1.5)
    _panels.category_axis(ax, [int(s) for s in shown.columns])
    if len(even) < steps:
        ax.set_xlabel(f"{_panels.STEP_LABEL} ({len(even)} of {steps} shown)")
