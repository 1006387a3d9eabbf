"""CKA of every checkpoint with every other, as a map per model and component."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.figures import Options, _maps, _panels
from tending.figures import _select as select
from tending.figures._style import styled
from tending.stages.trajectory.trajectory_tables import WITHIN

TABLES = ("checkpoint_map",)
TITLE = "Similarity of all checkpoints (map)"
CATEGORY = "Trajectory"

METRIC = "cka_debiased"
_MOST = 24  # panels; with more, only the first components are drawn


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Draw few models as columns and components as rows; of many, components side by side."""
    table = select.correct(tables["checkpoint_map"], METRIC)
    nulls = select.correct(tables["checkpoint_map"], f"{METRIC}{WITHIN}")
    models = select.models(table, options)
    components = select.components(table.assign(layer=0), [METRIC])
    components = components[: max(1, _MOST // len(models))]
    panels = [(model, component) for model in models for component in components]
    columns = _maps.SIDE_BY_SIDE
    if len(models) <= _maps.FEW:
        panels, columns = [(m, c) for c in components for m in models], len(models)
    figure, axes = _maps.squares(len(panels), columns)
    norm = _maps.scale(table["value"])
    alike = len({tuple(select.steps(own)) for _, own in table.groupby("model")}) == 1
    for i, ((model, component), ax) in enumerate(zip(panels, axes, strict=True)):
        rows, within = (
            t[(t["model"] == model) & (t["component"] == component)] for t in (table, nulls)
        )
        _maps.show(ax, values := _square(rows), norm)
        _maps.marks(ax, values, _square(within), norm)
        _steps(ax, select.steps(rows), most=max(4, 24 // columns))
        _maps.title(ax, model, select.component_label(component), columns)
        if i + columns < len(panels):
            ax.set_xlabel("")
            ax.tick_params(labelbottom=not alike)
        if i % columns:
            ax.set_ylabel("")
            ax.tick_params(labelleft=not alike)
    label = f"CKA (debiased), median over layers\n{select.probe_label(table, options)}"
    _maps.bar(figure, axes, norm, label)
    _maps.key(figure, tables["checkpoint_map"], METRIC)
    return figure


def _square(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.pivot(index="with_step", columns="step", values="value")


def _steps(ax: Axes, steps: Sequence[int], most: int) -> None:
    """Label both axes with the same steps at the same places."""
    _panels.category_axis(ax, steps, most=most)
    places = [int(place) for place in ax.get_xticks()]
    ax.set_yticks(places, [f"{steps[place]}" for place in places])
    ax.set_ylabel(_panels.STEP_LABEL)
