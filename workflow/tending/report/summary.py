"""Summary of a study in one table: a row per model and component."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from tending.figures import Options
from tending.figures import _select as select
from tending.report.late_phase_report import late_html
from tending.report.null_report import null_html
from tending.stages.convergence.early_scores import early_quantity
from tending.stages.convergence.stabilisation_intervals import interval_quantity
from tending.stages.convergence.stabilisation_rows import fraction_quantity

_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.25rem; } h2 { font-size: 1.1rem; } p { max-width: 48rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .45rem; text-align: right; white-space: nowrap; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid #1a1a1a; }
tbody th { text-align: left; border-bottom: 0; }
thead th:first-child { text-align: left; }
tbody tr.model { border-top: 1px solid #bbb; }
tbody th[scope=row] { font-weight: 400; }
table.null td, table.null thead th { text-align: left; } table.null td { white-space: normal; }
td small { color: #555; display: block; }
dl { max-width: 48rem; } dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0 0 0 1rem; }
"""


def summary(tables: Mapping[str, pd.DataFrame], options: Options) -> pd.DataFrame:
    """Return one row per model, smallest first; missing numbers are NaN.

    Columns: model, parameters, layers, final_step, final_loss and final_loss_se (nats per token),
    early_step (missing if no checkpoint is that early), then for each component and threshold t:
    COMPONENT_early_score with _from and _to, COMPONENT_fraction_t with _low and _high (the bracket)
    and with _from and _to, COMPONENT_rank_first, COMPONENT_rank_last. _from and _to are intervals
    over resampled sequences.
    """
    table = tables["convergence"]
    return pd.DataFrame([_row(tables, options, m) for m in select.every_model(table, options)])


def _row(tables: Mapping[str, pd.DataFrame], options: Options, model: str) -> dict[str, Any]:
    own = {name: table[table["model"] == model] for name, table in tables.items()}
    scores = select.correct(own["convergence"], options.lead_metric)
    reference = options.references.get(model, scores["step"].max())
    reached = scores[(scores["progress"] <= options.early) & (scores["step"] != reference)]
    early = int(reached["step"].max()) if len(reached) else None
    losses = own["loss"]
    row: dict[str, Any] = {
        "model": model,
        "parameters": int(scores["parameters"].iloc[0]),
        "layers": select.layers(scores, model),
        "final_step": int(scores["step"].max()),
        "final_loss": _last(select.correct(losses, "held_out_loss")),
        "final_loss_se": _last(select.correct(losses, "held_out_loss_standard_error")),
        "early_step": early,
    }
    for component in select.components(tables["convergence"], [options.lead_metric]):
        layers = select.by_layer(own["convergence"], options.lead_metric, component)
        at = layers.loc[layers["step"] == early, "value"]  # empty if there is no such step
        row[f"{component}_early_score"] = float(at.median(skipna=False))
        found = select.of_model(
            own["stabilisation"], early_quantity(options.lead_metric), component
        )
        row.update(_ends(found, f"{component}_early_score"))
        row.update(_settling(own["stabilisation"], options, component))
        row.update(_ranks(own["effective_rank"], options, component))
    return row


def _settling(table: pd.DataFrame, options: Options, component: str) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for threshold in options.thresholds:
        quantity = fraction_quantity(options.lead_metric, threshold)
        found = select.of_model(table, quantity, component)
        ends = found[["value", "low", "high"]].iloc[0] if len(found) else [np.nan] * 3
        name = f"{component}_fraction_{threshold:g}"
        row.update(zip([name, f"{name}_low", f"{name}_high"], ends, strict=True))
        row.update(_ends(select.of_model(table, interval_quantity(quantity), component), name))
    return row


def _ends(found: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return the interval in the only row of `found`; NaN if there is none."""
    ends = found[["low", "high"]].iloc[0] if len(found) else [np.nan] * 2
    return dict(zip([f"{name}_from", f"{name}_to"], ends, strict=True))


def _ranks(table: pd.DataFrame, options: Options, component: str) -> dict[str, Any]:
    """Return the median rank at the first and the last step, over heads if there are any."""
    heads = select.by_layer(table, options.lead_rank_metric, component, heads=True)
    whole = select.by_layer(table, options.lead_rank_metric, component)
    medians = (whole if heads.empty else heads).groupby("step")["value"].median()
    ends = (medians.iloc[0], medians.iloc[-1]) if len(medians) else (np.nan, np.nan)
    return dict(zip([f"{component}_rank_first", f"{component}_rank_last"], ends, strict=True))


def _last(rows: pd.DataFrame) -> float:
    return float(rows.sort_values("step")["value"].iloc[-1]) if len(rows) else float("nan")


def summary_html(tables: Mapping[str, pd.DataFrame], options: Options) -> str:
    """Render the summary as one HTML page with a legend; needs no other file, script or network."""
    frame = summary(tables, options)
    components = select.components(tables["convergence"], [options.lead_metric])
    rows = "\n".join(_html_rows(dict(row), components, options) for _, row in frame.iterrows())
    title = f"{escape(options.study)}: summary"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f'<div class="wide"><table>\n<thead>\n{_header(options)}</thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>\n{_legend(options)}"
        f"{null_html(tables['convergence'], options)}{late_html(tables['late_phase'], options)}"
        f"</body>\n</html>\n"
    )


def _header(options: Options) -> str:
    thresholds = [f"settled &ge; {t:g}" for t in options.thresholds]
    names = ["model", "parameters", "layers", "final loss", "component"]
    names += [f"score at {100 * options.early:g} %", *thresholds, "rank, first &rarr; last"]
    return "<tr>" + "".join(f'<th scope="col">{name}</th>' for name in names) + "</tr>\n"


def _html_rows(row: Mapping[str, Any], components: list[str], options: Options) -> str:
    """Render a row per component; the model's own cells appear once and span all rows."""
    loss = f"{_number(row['final_loss'])} &plusmn; {_number(row['final_loss_se'])}"
    own = [
        select.count(row["parameters"]),
        str(row["layers"]),
        f"{loss}<small>step {row['final_step']}</small>",
    ]
    span = f'rowspan="{len(components)}"'
    first = f'<th scope="rowgroup" {span}>{escape(str(row["model"]))}</th>'
    first += "".join(f"<td {span}>{cell}</td>" for cell in own)
    rows = [_cells(row, component, options) for component in components]
    lines = [f'<tr class="model">{first}{rows[0]}</tr>', *(f"<tr>{r}</tr>" for r in rows[1:])]
    return "\n".join(lines)


def _cells(row: Mapping[str, Any], component: str, options: Options) -> str:
    at = "no checkpoint" if pd.isna(row["early_step"]) else f"step {row['early_step']:.0f}"
    name = f"{component}_early_score"
    cells = [f"{_number(row[name])}<small>{at}</small>{_early_interval(row, name)}"]
    cells += [_bracket(row, f"{component}_fraction_{t:g}") for t in options.thresholds]
    ends = [_number(row[f"{component}_rank_{end}"]) for end in ("first", "last")]
    cells.append(" &rarr; ".join(ends))
    name = f'<th scope="row">{escape(select.component_label(component))}</th>'
    return name + "".join(f"<td>{cell}</td>" for cell in cells)


def _bracket(row: Mapping[str, Any], name: str) -> str:
    if pd.isna(row[name]):
        return f"never<small>&nbsp;</small>{_interval(row, name)}"
    if row[f"{name}_low"] == row[f"{name}_high"]:
        return f"{_number(row[name])}<small>from the start</small>{_interval(row, name)}"
    low, high = _number(row[f"{name}_low"]), _number(row[f"{name}_high"])
    return f"{_number(row[name])}<small>({low}, {high}]</small>{_interval(row, name)}"


def _early_interval(row: Mapping[str, Any], name: str) -> str:
    if pd.isna(row[f"{name}_from"]):
        return ""
    ends = (_number(row[f"{name}_{end}"]) for end in ("from", "to"))
    return "<small>95 %: {} to {}</small>".format(*ends)


def _interval(row: Mapping[str, Any], name: str) -> str:
    """Format the bracket's interval; it ends at `never` if too many resamples never settle."""
    if pd.isna(row[f"{name}_from"]):
        return ""
    to = row[f"{name}_to"]
    end = "never" if pd.isna(to) else _number(to)
    return f"<small>95 %: {_number(row[f'{name}_from'])} to {end}</small>"


def _number(value: float) -> str:
    """Format with three decimals, or three digits from 100 on; a dash for a missing number."""
    number = float(value)
    return f"{number:.3g}" if abs(number) >= 100 else f"{number:.3f}" if number == number else "-"


def _legend(options: Options) -> str:
    metric, rank = select.metric_label(options.lead_metric), options.lead_rank_metric
    early = f"{100 * options.early:g} %"
    entries = {
        "parameters": "all parameters of the model, embeddings included",
        "final loss": "mean loss on held-out sequences at the last checkpoint, in nats per token, "
        "&plusmn; its standard error over sequences",
        f"score at {early}": f"{escape(metric)} with the reference step, median over layers, at "
        f"the last checkpoint at or before {early} of training other than that step; "
        f"{options.sequences} sequences, {escape(select.place(options.position))}. 95 %: "
        "its interval over resampled sequences, where scores have errors. Layers have their own in "
        "the table convergence",
        "settled &ge; t": "fraction of training from which the score stays at or above t to the "
        "end, median over layers; below it the bracket: the medians of the last checkpoints "
        "before and of the first settled ones, between which the truth lies. One that ends at the "
        "reference step says only that the layer had not settled before. "
        "95 %: the interval of that bracket over resampled sequences, where scores have errors. "
        "&ldquo;never&rdquo;: half of the layers or more do not settle",
        "rank": f"{escape(select.rank_label(rank))} of the weights at the first and the "
        "last checkpoint: median over heads and layers of the OV circuits, over layers of the MLP "
        "down-projections. Exact: computed from the weights, no sampling error. "
        "The first value of a head is set by its shape; compare a model with "
        "its own start",
    }
    lines = "".join(f"<dt>{term}</dt><dd>{text}.</dd>\n" for term, text in entries.items())
    return f"<dl>\n{lines}</dl>\n"
