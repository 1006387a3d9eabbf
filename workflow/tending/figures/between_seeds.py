"""Similarity between seeds at the same step, beside that of each seed with its reference step."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tending.figures import Options, _nulls, _panels
from tending.figures import _select as select
from tending.figures._style import Look, styled
from tending.stages.convergence.score_rows import null_quantity
from tending.stages.seeds.between_seeds_rows import between_quantity

TABLES = ("groups", "convergence")
TITLE = "Similarity between seeds"
CATEGORY = "Seeds"

_TITLE = "mean over pairs or seeds, 95 % interval over seeds"
_LOWEST = -0.3  # intervals of few seeds may reach far below; they are cut here
_BETWEEN = Look("#31688e", "o", "solid")
_WITHIN = Look("#8a5a00", "s", (0, (5, 1.5)))


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: groups; columns: components; between seeds and within runs, means with intervals."""
    table, metric = tables["groups"], options.lead_metric
    components = select.components(table, [metric])
    groups = select.groups(table, options)
    figure, axes = _panels.grid(len(groups), len(components), 1.55, 0.7, sharex=True, sharey=True)
    looks = {between_quantity(metric): _BETWEEN, metric: _WITHIN}
    alike, nulls = True, []
    for group, row in zip(groups, axes, strict=True):
        for component, ax in zip(components, row, strict=True):
            nulls.append(_nulls_of(tables, group, component, options))
            alike &= _nulls.of_models(ax, nulls[-1], looks)
            for i, (quantity, look) in enumerate(looks.items()):
                means = select.of_model(table, quantity, component)
                _panels.interval(ax, means[means["model"] == group], look, quantity, i)
            _panels.step_axis(ax, select.steps(table), label=row is axes[-1])
            if row is axes[0]:
                ax.set_title(select.component_label(component))
        row[0].set_ylabel(group)
    shown = table[table["quantity"].isin(looks) & (table["definition"] == "correct")]
    ends = pd.concat([shown["value"], shown["low"].clip(lower=_LOWEST)]).astype("float64")
    known = pd.concat(nulls)
    axes[0][0].set_ylim(*_panels.score_limits(ends.dropna(), known["low"]))
    for row in axes:
        for ax in row:
            _panels.zero_line(ax)
    figure.supylabel(f"{select.metric_label(metric)}, median over layers", fontsize=7.5)
    _legend(figure, _nulls.note(known, alike, "line"))
    return figure


def _nulls_of(
    tables: Mapping[str, pd.DataFrame], group: str, component: str, options: Options
) -> pd.DataFrame:
    """Return the nulls of both lines, with the quantity as `model`.

    They are those of a group's pairs, and of its seeds' layers with their own reference step.
    """
    metric = options.lead_metric
    quantity = between_quantity(metric)
    pairs = select.of_model(tables["groups"], null_quantity(quantity), component)
    pairs = pairs[pairs["model"] == group]
    own = select.null(tables["convergence"], metric, component)
    own = own[own["model"].map(options.groups) == group]
    return pd.concat([pairs.assign(model=quantity, low=pairs["value"]), own.assign(model=metric)])


def _legend(figure: Figure, null: str) -> None:
    keys = [
        Line2D([], [], color=look.colour, linestyle=look.dashes, marker=look.marker)
        for look in (_BETWEEN, _WITHIN)
    ]
    labels = ["two seeds at the same step", "one seed with its own reference step"]
    _panels.place_legend(figure, keys, labels, f"{_TITLE}{null}")
