"""Overlap of the leading subspaces of activations with the reference and previous checkpoint."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from tending.figures import Options, _nulls, _panels
from tending.figures import _select as select
from tending.figures._style import FAINT, model_looks, styled

TABLES = ("trajectory",)
TITLE = "Overlap of leading subspaces"
CATEGORY = "Trajectory"

ROWS = {
    "subspace_overlap_with_reference": "overlap of subspaces\nwith the reference step",
    "subspace_overlap_step_to_step": "overlap of subspaces\nwith the checkpoint before",
}
CHANCE = "subspace_overlap_chance"  # mean of the null, known even where the null itself is not


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: overlap with the reference and previous step; columns: components; dotted: chance."""
    table = tables["trajectory"]
    components = select.components(table, ROWS)
    looks = model_looks(select.models(table, options))
    figure, axes = _panels.grid(2, len(components), 1.9, 0.7, sharex=True, sharey=True)
    for (quantity, label), row in zip(ROWS.items(), axes, strict=True):
        for component, ax in zip(components, row, strict=True):
            null = select.null(table, quantity, component).dropna(subset="value")
            _nulls.band(ax, _nulls.by_step(null))
            _panels.medians(
                ax, select.by_layer(table, quantity, component).dropna(subset="value"), looks
            )
            for level in select.by_layer(table, CHANCE, component)["value"].unique():
                ax.axhline(level, color=FAINT, linestyle=":", zorder=0)
            _panels.step_axis(ax, select.steps(table), label=row is axes[-1])
            if row is axes[0]:
                ax.set_title(select.component_label(component))
        row[0].set_ylabel(label)
    axes[0][0].set_ylim(0, 1.02)
    note = select.probe_label(table, options)
    title = f"median over layers, band from quartile to quartile; {note}\ndotted: chance"
    if any(
        len(select.null(table, quantity, components[0]).dropna(subset="high")) for quantity in ROWS
    ):
        title += f"; grey: {_nulls.LABEL}"
    _panels.model_legend(figure, looks, title)
    return figure
