"""Convergence, rank of the weights and rank of the gradients side by side."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.components import DEFAULT
from tending.figures import Options, _gradients, _nulls, _panels
from tending.figures import _select as select
from tending.figures._style import Look, model_looks, styled

TABLES = ("convergence", "effective_rank", "gradients")
TITLE = "Convergence, weights and gradients"
CATEGORY = "Gradients"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: attention and MLP; columns: similarity, rank of weights, rank of gradients.

    All against the fraction of training. Similarity is that with the reference step. Ranks of
    attention are those of its heads; everything else is for whole layers.
    """
    scores, ranks, gradients = (tables[name] for name in TABLES)
    score, rank = options.lead_metric, options.lead_rank_metric
    measured = set(gradients["component"].dropna())
    components = [c for c in DEFAULT if c in measured and c in set(scores["component"].dropna())]
    looks = model_looks(select.models(scores, options))
    figure, axes = _panels.grid(len(components), 3, 1.9, 0.9, sharex=True)
    for component, row in zip(components, axes, strict=True):
        null = _score_panel(row[0], scores, score, component, looks)
        for table, ax in ((ranks, row[1]), (gradients, row[2])):
            _panels.medians(ax, _by_progress(_ranks(table, rank, component)), looks)
        row[0].set_ylabel(select.component_label(component))
    titles = (
        f"{select.metric_label(score)}\nwith the reference step",
        f"{select.rank_label(rank)}\nof weights",
        f"{select.rank_label(rank)}\nof gradients",
    )
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    for ax in axes[-1]:
        ax.set_xlabel("fraction of training")
    note = "median over layers (ranks of attention: over heads), band from quartile to quartile\n"
    note += f"{select.probe_label(scores, options)}; gradients: {_gradients.batches(gradients)}"
    _panels.model_legend(figure, looks, note + null)
    return figure


def _score_panel(
    ax: Axes, table: pd.DataFrame, metric: str, component: str, looks: dict[str, Look]
) -> str:
    """Draw scores in front of their null; return the legend line for the null."""
    rows, null = select.by_layer(table, metric, component), select.null(table, metric, component)
    alike = _nulls.of_models(ax, _by_progress(null), looks)
    _panels.medians(ax, _by_progress(rows), looks)
    ax.set_ylim(*_panels.score_limits(rows["value"], null["value"]))
    _panels.zero_line(ax)
    where = "grey" if alike else "grey, or in a model's colour below a dotted line"
    return f"\n{where}: {_nulls.LABEL}" if len(null) else ""


def _ranks(table: pd.DataFrame, metric: str, component: str) -> pd.DataFrame:
    """Return rows of the heads where there are any, otherwise of whole layers."""
    heads = select.by_layer(table, metric, component, heads=True)
    return select.by_layer(table, metric, component) if heads.empty else heads


def _by_progress(rows: pd.DataFrame) -> pd.DataFrame:
    """Replace the step by the fraction of training, for functions that draw against step."""
    return rows.assign(step=rows["progress"])
