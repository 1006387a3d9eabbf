"""Score against training step: medians over layers per model, one row per metric."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from tending.figures import Options, _nulls, _panels
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
        len(options.metrics), len(components), 1.9, 0.85, sharex=True, sharey="row"
    )
    alike, known = True, list[pd.DataFrame]()
    for metric, row in zip(options.metrics, axes, strict=True):
        scores = {c: select.by_layer(table, metric, c) for c in components}
        nulls = {c: select.null(table, metric, c) for c in components}
        for component, ax in zip(components, row, strict=True):
            alike &= _nulls.of_models(ax, nulls[component], looks)
            _panels.medians(ax, scores[component], looks)
            _panels.step_axis(ax, select.steps(table), label=row is axes[-1])
            if row is axes[0]:
                ax.set_title(select.component_label(component))
        known += nulls.values()
        ends = pd.concat(scores.values())["value"], pd.concat(nulls.values())["low"]
        row[0].set_ylim(*_panels.score_limits(*ends))
        row[0].set_ylabel(f"{select.metric_label(metric)}\nwith the reference step")
        for ax in row:
            _panels.zero_line(ax)
    title = "median over layers, band from quartile to quartile; "
    title += select.probe_label(table, options) + _nulls.note(pd.concat(known), alike, "model")
    _panels.model_legend(figure, looks, title)
    return figure
