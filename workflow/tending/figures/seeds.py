"""Score against training step: every seed, and the mean over the seeds of a group."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.figures import Options, _nulls, _panels
from tending.figures import _select as select
from tending.figures._style import Look, model_looks, styled

TABLES = ("groups", "convergence")
TITLE = "Convergence of seeds"
CATEGORY = "Seeds"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Draw one panel per component: mean and interval per group, and a thin line per seed."""
    pooled, scores, metric = tables["groups"], tables["convergence"], options.lead_metric
    components = select.components(scores, [metric])
    looks = model_looks(select.groups(pooled, options))
    columns = min(len(components), 2)
    rows = -(-len(components) // columns)
    figure, axes = _panels.grid(rows, columns, 2.1, 0.7, sharex=True, sharey=True)
    panels = [ax for row in axes for ax in row]
    alike, nulls = True, []
    for component, ax in zip(components, panels, strict=False):
        nulls.append(_null(scores, component, options))
        alike &= _nulls.of_models(ax, nulls[-1], looks)
        layers = select.by_layer(scores, metric, component)
        _seeds(ax, layers, looks, options)
        means = select.of_model(pooled, metric, component)
        for i, (group, look) in enumerate(looks.items()):
            _panels.interval(ax, means[means["model"] == group], look, group, i)
        _panels.step_axis(ax, select.steps(scores), label=ax in panels[-columns:])
        ax.set_title(select.component_label(component))
    for ax in panels[len(components) :]:
        ax.set_axis_off()
    whole = pd.concat([select.by_layer(scores, metric, c) for c in components])
    known = pd.concat(nulls)
    panels[0].set_ylim(*_panels.score_limits(whole["value"], known["low"]))
    for ax in panels:
        _panels.zero_line(ax)
    figure.supylabel(f"{select.metric_label(metric)} with the reference step", fontsize=7.5)
    note = "thin: median over the layers of one seed; thick: mean over seeds, 95 % interval\n"
    note += select.probe_label(scores, options) + _nulls.note(known, alike, "group")
    _panels.model_legend(figure, looks, note)
    return figure


def _null(scores: pd.DataFrame, component: str, options: Options) -> pd.DataFrame:
    """Return the nulls of the layers of all seeds, with their groups as `model`."""
    rows = select.null(scores, options.lead_metric, component)
    groups = rows["model"].map(options.groups)
    return rows.assign(model=groups)[groups.notna()]


def _seeds(ax: Axes, layers: pd.DataFrame, looks: dict[str, Look], options: Options) -> None:
    for model, own in layers.groupby("model", sort=False):
        look = looks.get(options.groups.get(str(model), ""))
        if look is not None:
            medians = own.groupby("step")["value"].median()
            at = medians.index.to_numpy(dtype=float)
            ax.plot(at, medians.to_numpy(), color=look.colour, linewidth=0.5, alpha=0.55)
