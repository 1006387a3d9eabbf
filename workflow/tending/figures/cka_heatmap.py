"""Score of every layer at every step, as a map per model and component."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tending.figures import Options, _hatching, _panels
from tending.figures import _select as select
from tending.figures._style import styled

TABLES = ("convergence",)
TITLE = "Convergence of every layer (map)"
CATEGORY = "Convergence"

_COLOURS = "viridis"
_MISSING = "0.85"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: models, smallest first; columns: components; one colour scale for all."""
    table, metric = tables["convergence"], options.lead_metric
    components = select.components(table, [metric])
    models = select.models(table, options)
    heights = [0.45 + 0.045 * select.layers(table, m) for m in models]
    figure, axes = _panels.grid(
        len(models),
        len(components),
        sum(heights) / len(models) + 0.3,
        0.7,
        gridspec_kw={"height_ratios": heights},
    )
    scores = {c: select.by_layer(table, metric, c) for c in components}
    within = {c: select.within_null(table, metric, c) for c in components}
    scale = Normalize(min(0.0, *(float(s["value"].min()) for s in scores.values())), 1)
    for model, row in zip(models, axes, strict=True):
        for component, ax in zip(components, row, strict=True):
            rows, null = scores[component], within[component]
            layers = select.layer_by_step(rows[rows["model"] == model])
            _map(ax, layers, scale)
            marked = select.layer_by_step(null[null["model"] == model], "within")
            _hatching.hatch(ax, layers, marked, scale, bottom=int(layers.index.min()))
            ax.set_title(f"{model}: {select.component_label(component)}", loc="left")
        row[0].set_ylabel("layer")
    _panels.outer_labels(axes, table)
    label = f"{select.metric_label(metric)} with the reference step"
    figure.colorbar(
        ScalarMappable(scale, _COLOURS),
        ax=[ax for row in axes for ax in row],
        label=f"{label}\n{select.probe_label(table, options)}",
        fraction=0.03,
        pad=0.01,
        aspect=40,
    )
    _hatching.key(figure)
    return figure


def _map(ax: Axes, scores: pd.DataFrame, scale: Normalize) -> None:
    if scores.empty:
        ax.set_axis_off()
        return
    ax.set_facecolor(_MISSING)
    ax.imshow(
        scores.to_numpy(dtype=float),
        norm=scale,
        cmap=_COLOURS,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(-0.5, scores.shape[1] - 0.5, scores.index[0] - 0.5, scores.index[-1] + 0.5),
    )
    ax.spines[:].set_visible(False)
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    _panels.category_axis(ax, [int(s) for s in scores.columns], most=18)
