"""Norm of the gradients against training step."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from tending.figures import Options, _gradients
from tending.figures._style import styled

TABLES = ("gradients",)
TITLE = "Norm of the gradients by step"
CATEGORY = "Gradients"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Draw one panel per component, on a logarithmic axis; a line and quartile band per model."""
    figure, axes = _gradients.panels(
        tables["gradients"], "gradient_norm", options, "batches", log=True
    )
    axes[0].set_ylabel("Frobenius norm\n(nats per unit of weight)")
    return figure
