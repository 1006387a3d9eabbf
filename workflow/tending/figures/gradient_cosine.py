"""Cosine between gradients of consecutive batches against training step."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from tending.figures import Options, _gradients, _panels
from tending.figures._style import styled

TABLES = ("gradients",)
TITLE = "Agreement of gradients by step"
CATEGORY = "Gradients"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Draw one panel per component, with a line and quartile band per model."""
    figure, axes = _gradients.panels(
        tables["gradients"], "gradient_cosine", options, "pairs of consecutive batches"
    )
    axes[0].set_ylabel("cosine of consecutive\nbatches' gradients")
    for ax in axes:
        _panels.zero_line(ax)
    return figure
