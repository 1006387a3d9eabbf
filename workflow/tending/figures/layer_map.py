"""CKA of every layer with every other at the first, the middle and the last step."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.figures import Options, _maps
from tending.figures import _select as select
from tending.figures._style import styled
from tending.stages.trajectory.trajectory_tables import WITHIN

TABLES = ("layer_map",)
TITLE = "Similarity of all layers (map)"
CATEGORY = "Trajectory"

METRIC = "cka_debiased"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: models (several per row if many); columns: steps; white lines: between components."""
    table, nulls = (
        select.correct(tables["layer_map"], f"{METRIC}{kind}").fillna(
            {"layer": 0, "with_layer": 0}  # components without layers
        )
        for kind in ("", WITHIN)
    )
    models = select.models(table, options)
    order = select.components(table, [METRIC])
    few = len(models) <= _maps.FEW
    steps = {m: _shown(table[table["model"] == m], few=few) for m in models}
    each = max(map(len, steps.values()))
    columns = each if few else max(each, _maps.SIDE_BY_SIDE)
    figure, axes = _maps.squares(each * len(models), columns)
    norm = _maps.scale(table["value"])
    for i, ax in enumerate(axes):
        model, at = models[i // each], i % each
        if at >= len(steps[model]):
            ax.set_axis_off()
            continue
        rows, within = (
            t[(t["model"] == model) & (t["step"] == steps[model][at])] for t in (table, nulls)
        )
        _maps.show(ax, values := _square(rows, order), norm)
        _maps.marks(ax, values, _square(within, order), norm)
        _layers(ax, [str(name) for name in values.columns.get_level_values("component")])
        ax.tick_params(length=0, labelleft=i % columns == 0)
        ax.tick_params(labelbottom=i + columns >= len(axes))
        _maps.title(ax, model, f"step {steps[model][at]}", columns)
    label = f"CKA (debiased) of layers\n{select.probe_label(table, options)}"
    _maps.bar(figure, axes, norm, label)
    _maps.key(figure, tables["layer_map"], METRIC)
    return figure


def _shown(rows: pd.DataFrame, *, few: bool) -> list[int]:
    """Return the steps of a model's maps; with many models, only the first and the last."""
    steps = list(select.steps(rows))
    return steps if few else sorted({steps[0], steps[-1]})


def _square(rows: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """Pivot values to (component, layer) on both axes, components in the given order."""
    wide = rows.pivot(
        index=["with_component", "with_layer"], columns=["component", "layer"], values="value"
    )
    pairs = sorted(wide.columns, key=lambda pair: (order.index(pair[0]), pair[1]))
    return wide.loc[pairs, pairs]


def _layers(ax: Axes, components: list[str]) -> None:
    """Label both axes with each component at the middle of its layers."""
    starts = [i for i, c in enumerate(components) if i == 0 or components[i - 1] != c]
    for start in starts[1:]:
        ax.axhline(start - 0.5, color="white", linewidth=1)
        ax.axvline(start - 0.5, color="white", linewidth=1)
    ends = [*starts[1:], len(components)]
    middles = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    names = [select.component_label(components[start]) for start in starts]
    ax.set_xticks(middles, names, rotation=90)
    ax.set_yticks(middles, names)
