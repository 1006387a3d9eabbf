"""Panels of gradients, one per component."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import model_looks

MOST_COLUMNS = 4
MEDIAN = "median over layers, band from quartile to quartile"


def panels(
    table: pd.DataFrame, quantity: str, options: Options, of: str, *, log: bool = False
) -> tuple[Figure, list[Axes]]:
    """Draw a quantity of whole layers against step, one panel per component.

    of: name of the units that values are means over. log: use a logarithmic axis, without values
    that are not above 0.
    """
    components = select.components(table, [quantity])
    looks = model_looks(select.models(table, options))
    rows = math.ceil(len(components) / MOST_COLUMNS)
    columns = math.ceil(len(components) / rows)
    figure, axes = _panels.grid(rows, columns, 2.0, 0.7, sharey=not log)
    every = [ax for row in axes for ax in row]
    for ax in every[len(components) :]:
        ax.set_visible(False)
    for component, ax in zip(components, every, strict=False):
        own = select.by_layer(table, quantity, component).dropna(subset="value")
        if log:
            own = own[own["value"] > 0]
            ax.set_yscale("log")
        _panels.medians(ax, own, looks)
        _panels.step_axis(ax, select.steps(table))
        ax.set_title(select.component_label(component))
    _panels.model_legend(figure, looks, f"{MEDIAN}; {batches(table, quantity, of)}")
    return figure, every


def batches(table: pd.DataFrame, quantity: str = "gradient_loss", what: str = "batches") -> str:
    """Describe the number of batches, or pairs of them, that a quantity's values are means over."""
    numbers = sorted({int(n) for n in select.correct(table, quantity)["n"]}) or [0]
    ends = " to ".join(str(n) for n in dict.fromkeys([numbers[0], numbers[-1]]))
    return f"means over {ends} {what}"
