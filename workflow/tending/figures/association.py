"""Rank of the weights at the reference step against settling times and early similarities."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.figures import Options, _association, _nulls, _panels
from tending.figures import _select as select
from tending.figures._style import Look, model_looks, styled
from tending.stages.synthesis.association_table import Asked, at_the_end, of_kind, score_quantity

TABLES = ("convergence", "effective_rank", "stabilisation", "association")
TITLE = "Rank and when layers settle"
CATEGORY = "Effective rank"

_NEVER = 1.08  # where a layer that never settles is marked, beyond the end of training


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: components' layers and heads; columns: outcomes; a point per layer or head.

    Ranks are drawn relative to their model's median, because the correlation is within models.
    """
    asked, rows = _association.asked(tables, options), _association.rows(tables, options)
    outcomes = _association.outcomes(asked)
    looks = model_looks(select.models(tables["convergence"], options))
    at = {score_quantity(options.lead_metric, p): p for p in asked.progress}
    banded = False
    figure, axes = _panels.grid(len(rows), len(outcomes), 1.9, 0.8)
    for row, panels in zip(rows, axes, strict=True):
        ranks, reached = at_the_end(of_kind(tables, asked, row.component, row.kind), asked)
        for (outcome, reach), ax in zip(outcomes.items(), panels, strict=True):
            _points(ax, ranks[asked.lead], reached[outcome], looks)
            if outcome in at:
                banded |= _null(ax, tables["convergence"], row, asked, at[outcome], looks)
            ax.set_title(
                _association.sentence(tables["association"], row, asked, outcome), loc="left"
            )
            ax.set_ylabel(f"{row.label}\n{reach}" if ax is panels[0] else reach)
            ax.locator_params(axis="x", nbins=6)
            if row is rows[-1]:
                label = select.rank_label(asked.lead)
                ax.set_xlabel(f"{label} at the reference step\nabove or below the model's median")
    note = f"pooled within models; {_association.how_many(tables['association'])}"
    note += f"\ngrey: {_nulls.LABEL} of all points of a panel" if banded else ""
    _panels.model_legend(figure, looks, note, linestyle="none")
    return figure


def _null(
    ax: Axes,
    scores: pd.DataFrame,
    row: _association.Row,
    asked: Asked,
    progress: float,
    looks: dict[str, Look],
) -> bool:
    """Draw the null as a band across a panel; return whether it is known there."""
    ends = _association.null_ends(scores, row, asked, progress, looks)
    if ends:
        ax.axhspan(*ends, zorder=0.5, **_nulls.BAND)
    return ends is not None


def _points(ax: Axes, ranks: pd.Series, reached: pd.Series, looks: dict[str, Look]) -> None:
    never, finite = np.isinf(reached), ranks.where(np.isfinite(ranks))
    relative = finite - finite.groupby("model").transform("median")
    dense = len(ranks) > 400
    for model, look in looks.items():
        own = ranks.index.get_level_values("model") == model
        ax.scatter(
            relative[own],
            reached[own].where(~never[own], _NEVER),
            color=look.colour,
            marker=look.marker,
            s=5 if dense else 14,
            alpha=0.6,
            linewidths=0,
            rasterized=dense,  # thousands of vector marks make a PDF slow to render
        )
    if never.any():
        ticks = [t for t in ax.get_yticks() if 0 <= t <= 1]
        ax.set_yticks([*ticks, _NEVER], [*(f"{t:.1f}" for t in ticks), "never"])
