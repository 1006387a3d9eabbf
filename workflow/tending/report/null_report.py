"""Similarity scores no higher than those of permuted sequences, as an HTML table."""

from collections.abc import Mapping
from html import escape
from itertools import groupby
from typing import Any

import pandas as pd

from tending.figures import Options
from tending.figures import _select as select

_MOST = 4  # stretches of steps that are listed


def within_null(table: pd.DataFrame, options: Options) -> pd.DataFrame:
    """Return one row per model, component and metric, models smallest first.

    table: the table of scores. Columns: model, component, metric, cells (scores of whole layers
    with a null, without the reference step), within (those not above the null's 95 % quantile) and
    where (the steps and layers of these, in words).
    """
    rows = []
    for metric in options.metrics:
        for component in select.components(table, [metric]):
            cells = select.without_reference(select.within_null(table, metric, component))
            for model in select.every_model(table, options):
                own = cells[cells["model"] == model]
                row = {"model": model, "component": component, "metric": metric}
                counts = {"cells": len(own), "within": int(own["within"].sum())}
                rows.append({**row, **counts, "where": _where(own)})
    order = {name: i for i, name in enumerate(select.every_model(table, options))}
    frame = pd.DataFrame(rows)
    return frame.sort_values("model", key=lambda m: m.map(order), kind="stable", ignore_index=True)


def _where(cells: pd.DataFrame) -> str:
    """Describe stretches of steps with the same layers within: `steps 0 to 64: layers 0-3`."""
    layers = {
        step: tuple(
            int(i) for i in sorted(cells.loc[cells["within"] & cells["step"].eq(step), "layer"])
        )
        for step in select.steps(cells)
    }
    stretches = []
    for within, group in groupby(sorted(layers), key=layers.__getitem__):
        steps = list(group)
        if within:
            stretches.append((steps, within))
    named = [f"{_steps(steps)}: {_layers(within)}" for steps, within in stretches[:_MOST]]
    if len(stretches) > _MOST:
        named.append(f"others up to step {stretches[-1][0][-1]}")
    return "; ".join(named)


def _steps(steps: list[int]) -> str:
    return f"steps {steps[0]} to {steps[-1]}" if len(steps) > 1 else f"step {steps[0]}"


def _layers(layers: tuple[int, ...]) -> str:
    """Format layers: `layer 2`, or `layers 0-3, 5`."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    names = ", ".join(f"{r[0]}-{r[-1]}" if len(r) > 1 else f"{r[0]}" for r in runs)
    return f"layer{'s' if len(layers) > 1 else ''} {names}"


def null_html(table: pd.DataFrame, options: Options) -> str:
    """Render the section: heading, table and explanation; empty if no score has a null."""
    frame = within_null(table, options)
    if not frame["cells"].any():
        return ""
    names = ["model", "component", "metric", "within the null", "where"]
    header = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "\n".join(_html_row(dict(row)) for _, row in frame[frame["cells"] > 0].iterrows())
    return (
        f"<h2>Scores within their null</h2>\n"
        f'<div class="wide"><table class="null">\n<thead>\n<tr>{header}</tr>\n</thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>\n<p>{_MEANING}</p>\n"
    )


def _html_row(row: Mapping[str, Any]) -> str:
    names = [select.component_label(row["component"]), select.metric_label(row["metric"])]
    shown = [*names, f"{row['within']} of {row['cells']}", row["where"] or "-"]
    rest = "".join(f"<td>{escape(cell)}</td>" for cell in shown)
    return f'<tr><th scope="row">{escape(row["model"])}</th>{rest}</tr>'


_MEANING = (
    "The null of a score is its distribution when the sequences of one side are put in "
    "random order. Counted are the layers and steps whose score is not above the 95 % quantile of "
    "its null, of all layers and steps but the reference step&rsquo;s: such a score is no evidence "
    "of similarity, whatever its value. Of unrelated representations one score in twenty is above "
    "it by chance."
)
