"""Effective rank of a layer's weights against the convergence of its activations."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from tending.figures import Options, _nulls, _panels
from tending.figures import _select as select
from tending.figures._style import Look, model_looks, styled

TABLES = ("convergence", "effective_rank")
TITLE = "Effective rank against convergence"
CATEGORY = "Effective rank"

_COLOURS = "cividis"
_KEYS = ["model", "layer", "step"]


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Draw components as columns, a point per layer and step; marker: model; colour: progress."""
    scores, ranks = tables["convergence"], tables["effective_rank"]
    metric, rank = options.lead_metric, options.lead_rank_metric
    measured = select.components(scores, [metric])
    components = [c for c in measured if not _whole(ranks, rank, c).empty]
    looks = model_looks(select.models(scores, options))
    figure, axes = _panels.grid(1, len(components), 2.6, 0.6, sharey=True)
    limits = []
    for component, ax in zip(components, axes[0], strict=True):
        whole = _whole(ranks, rank, component)
        reached = select.by_layer(scores, metric, component)
        null = select.null(scores, metric, component)
        limits.append(_panels.score_limits(reached["value"], null["low"]))
        _points(ax, select.without_reference(reached).merge(whole, on=_KEYS), looks)
        if not null.empty:
            ax.axhspan(null["low"].min(), null["high"].max(), zorder=0.5, **_nulls.BAND)
        ax.set_title(select.component_label(component))
        heads = ", mean over heads" if whole["heads"].any() else ""
        ax.set_xlabel(f"{select.rank_label(rank)}{heads}")
    ax = axes[0][0]
    ax.set_ylabel(f"{select.metric_label(metric)} with the reference step")
    ax.set_ylim(*min(limits))
    figure.colorbar(
        ScalarMappable(Normalize(0, 1), _COLOURS),
        ax=axes[0],
        label="progress (fraction of training)",
        fraction=0.03,
        pad=0.01,
    )
    note = f"one point per layer and step; {select.probe_label(scores, options)}\n"
    note += f"grey: {_nulls.LABEL} of all points"
    _panels.model_legend(figure, looks, note, linestyle="none", color="0.3")
    return figure


def _whole(ranks: pd.DataFrame, metric: str, component: str) -> pd.DataFrame:
    """Return one rank per model, layer and step: the mean over heads where there are any."""
    heads = select.by_layer(ranks, metric, component, heads=True)
    rows = select.by_layer(ranks, metric, component) if heads.empty else heads
    means = rows.groupby(_KEYS)["value"].mean().rename("rank").reset_index()
    return means.assign(heads=not heads.empty)


def _points(ax: Axes, rows: pd.DataFrame, looks: dict[str, Look]) -> None:
    dense = len(rows) > 400
    for model, look in looks.items():
        own = rows[rows["model"] == model]
        ax.scatter(
            own["rank"],
            own["value"],
            c=own["progress"],
            cmap=_COLOURS,
            vmin=0,
            vmax=1,
            marker=look.marker,
            s=7 if dense else 14,
            alpha=0.7,
            linewidths=0,
            rasterized=dense,  # tens of thousands of vector marks make a PDF slow to render
        )
