"""Metrics of the activations alone against training step, one row per metric."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from tending.core import plugins
from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import model_looks, styled
from tending.stages.representation.representation_config import known, package

TABLES = ("representation",)
TITLE = "Representations by step"
CATEGORY = "Representations"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: metrics; columns: whole layers, then heads; a line and quartile band per model."""
    table = tables["representation"]
    metrics = [str(q) for q in table["quantity"].unique() if q in known()]
    columns = _columns(table, metrics)
    looks = model_looks(select.models(table, options))
    figure, axes = _panels.grid(len(metrics), len(columns), 1.6, 0.7, sharex=True, sharey="row")
    for metric, row in zip(metrics, axes, strict=True):
        for (title, component, heads), ax in zip(columns, row, strict=True):
            _panels.medians(ax, select.by_layer(table, metric, component, heads=heads), looks)
            _panels.step_axis(ax, select.steps(table), label=row is axes[-1])
            if row is axes[0]:
                ax.set_title(title)
        row[0].set_ylabel(_label(metric))
    note = select.probe_label(table, options)
    _panels.model_legend(figure, looks, f"median, band from quartile to quartile; {note}")
    return figure


def _columns(table: pd.DataFrame, metrics: list[str]) -> list[tuple[str, str, bool]]:
    """Return every column's title, component, and whether it shows heads."""
    measured = table[table["quantity"].isin(metrics)]
    columns = []
    for heads in (False, True):
        own = measured[measured["head"].notna() == heads]
        for component in select.components(own, metrics) if len(own) else []:
            over = "heads\n(over heads and layers)" if heads else "\n(over layers)"
            name = select.component_label(component)
            columns.append((f"{name}, {over}" if heads else f"{name}{over}", component, heads))
    return columns


def _label(metric: str) -> str:
    """Return the metric's own label, with a part in brackets on a second line."""
    label = str(plugins.load(package(metric), metric, "metric").METRIC.label)
    return label.replace(" (", "\n(")
