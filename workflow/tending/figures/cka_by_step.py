"""Score against training step: medians over layers per model, one row per metric."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import model_looks, styled

TABLES = ("convergence",)
TITLE = "Convergence of activations by step"
CATEGORY = "Convergence"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: similarity metrics; columns: components; one line and quartile band per model."""
    table = tables["convergence"]
    components = select.components(table, options.metrics)
    looks = model_looks(select.models(table, options))
    figure, axes = _panels.grid(
        len(options.metrics), len(components), 1.9, 0.7, sharex=True, sharey="row"
    )
    for metric, row in zip(options.metrics, axes, strict=True):
        for component, ax in zip(components, row, strict=True):
            rows = select.by_layer(table, metric, component)
            _panels.medians(ax, rows, looks)
            _panels.step_axis(ax, select.steps(table), label=row is axes[-1])
            if row is axes[0]:
                ax.set_title(select.component_label(component))
        whole = [select.by_layer(table, metric, component) for component in components]
        row[0].set_ylim(*_panels.score_limits(pd.concat(whole)["value"]))
        row[0].set_ylabel(f"{select.metric_label(metric)}\nwith the reference step")
        for ax in row:
            _panels.zero_line(ax)
    note = select.probe_label(table, options)
    _panels.model_legend(
        figure, looks, f"median over layers, band from quartile to quartile; {note}"
    )
    return figure
