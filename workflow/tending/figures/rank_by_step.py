"""Effective rank of the weights against training step."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import model_looks, styled

TABLES = ("effective_rank",)
TITLE = "Effective rank of the weights by step"
CATEGORY = "Effective rank"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Draw columns by component: heads (median over heads and layers), then whole matrices."""
    table, metric = tables["effective_rank"], options.lead_rank_metric
    looks = model_looks(select.models(table, options))
    panels = _panels_of(table, metric)
    figure, axes = _panels.grid(1, len(panels), 2.1, 0.6, sharey=metric.startswith("prop"))
    for (title, rows), ax in zip(panels.items(), axes[0], strict=True):
        _panels.medians(ax, rows, looks)
        _panels.step_axis(ax, select.steps(table))
        ax.set_title(title)
    axes[0][0].set_ylabel(select.rank_label(metric))
    _panels.model_legend(figure, looks, "median, band from quartile to quartile")
    return figure


def _panels_of(table: pd.DataFrame, metric: str) -> dict[str, pd.DataFrame]:
    panels = {}
    for component in select.components(table, [metric]):
        label = select.component_label(component)
        heads = select.by_layer(table, metric, component, heads=True)
        whole = select.by_layer(table, metric, component)
        if not heads.empty:
            panels[f"{label}, heads\n(over heads and layers)"] = heads
            label += ", whole layer"
        if not whole.empty:
            panels[f"{label}\n(over layers)"] = whole
    return panels
