"""The paper's medians over layers beside those of this study, by both definitions."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tending.figures import Options, _nulls, _panels
from tending.figures import _select as select
from tending.figures._style import Look, model_looks, styled
from tending.stages.convergence.score_rows import null_quantity
from tending.stages.synthesis.published_comparison import (
    computed_quantity,
    difference_quantity,
    published_quantity,
)
from tending.study.published import METRICS

TABLES = ("published_comparison",)
TITLE = "Beside the published medians"
CATEGORY = "Published values"

_DASHES: dict[str, Any] = {"correct": "solid", "published": (0, (2, 1.2))}
_LABELS = {
    "correct": "this study, correct definition",
    "published": "this study, published definition",
}


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: quantities; columns: components; marks: published; lines: computed, by definition."""
    table = tables["published_comparison"].astype(dict.fromkeys(["value", "high", "step"], float))
    if table.empty:
        raise ValueError(
            "nothing to draw: no step of the study is among those that the paper shows for its "
            "models; add some, or remove `published_as`"
        )
    metrics = [m for m in METRICS.values() if (table["quantity"] == published_quantity(m)).any()]
    components = [c for c in select.COMPONENTS if (table["component"] == c).any()]
    looks = model_looks(select.models(table, options))
    figure, axes = _panels.grid(len(metrics), len(components), 2.2, 0.9, sharex=True, sharey="row")
    for metric, row in zip(metrics, axes, strict=True):
        for component, ax in zip(components, row, strict=True):
            _panel(ax, table[table["component"] == component], metric, looks)
            title = [select.component_label(component)] if row is axes[0] else []
            ax.set_title("\n".join([*title, _distance(table, metric, component)]), loc="left")
            if row is axes[-1]:
                ax.set_xlabel(_panels.STEP_LABEL)
        name = select.metric_label(metric) if metric == "cka" else select.rank_label(metric)
        row[0].set_ylabel(f"{name}\n(median over layers)")
    computed = table[table["quantity"].isin([computed_quantity(m) for m in metrics])]
    nulls = bool((table["quantity"] == null_quantity("cka")).any())
    _legend(figure, looks, [d for d in _DASHES if (computed["definition"] == d).any()], nulls)
    return figure


def _panel(ax: Axes, table: pd.DataFrame, metric: str, looks: dict[str, Look]) -> None:
    null = table[(table["quantity"] == null_quantity(metric)) & (table["definition"] == "correct")]
    _nulls.of_models(ax, null.assign(low=null["value"]), looks)
    for model, look in looks.items():
        own = table[table["model"] == model].sort_values("step")
        for definition, dashes in _DASHES.items():
            rows = own[own["quantity"] == computed_quantity(metric)]
            rows = rows[rows["definition"] == definition]
            ax.plot(rows["step"], rows["value"], color=look.colour, linestyle=dashes, label=model)
        rows = own[own["quantity"] == published_quantity(metric)]
        ax.plot(
            rows["step"],
            rows["value"],
            color=look.colour,
            marker=look.marker,
            markerfacecolor="none",
            linestyle="none",
            label=f"{model}, published",
        )


def _distance(table: pd.DataFrame, metric: str, component: str) -> str:
    """Describe the mean distance of each definition from the published medians."""
    rows = table[table["quantity"] == difference_quantity(metric)]
    rows = rows[rows["component"] == component]
    off = rows["value"].abs().groupby(rows["definition"]).mean()
    parts = [f"{name} {off[name]:.3f}" for name in _DASHES if name in off.index]
    return f"mean |difference|: {', '.join(parts)}" if parts else "nothing to compare"


def _legend(figure: Figure, looks: dict[str, Look], definitions: list[str], nulls: bool) -> None:
    keys = [
        Line2D([], [], color=s.colour, marker=s.marker, markerfacecolor="none", linestyle="none")
        for s in looks.values()
    ]
    keys += [Line2D([], [], color="0.3", linestyle=_DASHES[d]) for d in definitions]
    labels = [*looks, *(_LABELS[d] for d in definitions)]
    title = "marks: read off the paper's figure (+-0.005)"
    if nulls:
        title += f"\ngrey, or in a model's colour below a dotted line: {_nulls.LABEL}"
    _panels.place_legend(figure, keys, labels, title)
