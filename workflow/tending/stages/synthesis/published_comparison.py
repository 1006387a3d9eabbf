"""Comparison of a study's medians over layers with the published ones."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pandas as pd

from tending.core import tables
from tending.stages.convergence.score_rows import null_quantity
from tending.study.published import METRICS, Value, medians

_KEYS = ["model", "step", "component", "quantity"]
Medians = Mapping[tuple[str, int, str, str], Mapping[str, Any]]  # by _KEYS


def published_quantity(metric: str) -> str:
    """Name the published median of `metric`; low and high are the ends of its reading error."""
    return f"{metric}_published"


def computed_quantity(metric: str) -> str:
    """Name the study's own median of `metric`, by either definition."""
    return f"{metric}_computed"


def difference_quantity(metric: str) -> str:
    """Name computed minus published; low and high are the ends given the reading error."""
    return f"{metric}_difference"


def comparison(
    convergence: pd.DataFrame,
    ranks: pd.DataFrame,
    published_as: Mapping[str, str],
    definitions: Sequence[str],
) -> pd.DataFrame:
    """Tabulate published, computed and difference for each published median at the study's steps.

    published_as: model -> the paper's name of it. Medians of `correct` are those of this project,
    over heads where a component has heads; those of `published` are pooled as in the paper's code.
    The null of `cka` is included. See docs/tables.md for the rows.
    """
    scores = pd.concat([convergence, ranks])
    own = {name: _medians(_pooled(scores, name)) for name in definitions}
    null = convergence[convergence["quantity"] == null_quantity("cka")].assign(quantity="cka")
    nulls = {name: _medians(_pooled(null, name)) for name in definitions}
    blocks = [
        block
        for model, label in published_as.items()
        for value in medians(label)
        for block in [*_blocks(model, value, own), *_null_blocks(model, value, nulls)]
    ]
    return tables.table(blocks)


def _blocks(model: str, value: Value, own: Mapping[str, Medians]) -> Iterator[tables.Columns]:
    """Yield rows for one published median; none if the study lacks the step or the quantity."""
    metric = METRICS[value.quantity]
    key = (model, value.step, value.component, metric)
    found = {name: rows[key] for name, rows in own.items() if key in rows}
    for i, (definition, row) in enumerate(found.items()):
        place = {name: row[name] for name in ("study", "parameters", "progress")}
        place |= {"model": model, "step": value.step, "component": value.component}
        if i == 0:
            yield _row(place, published_quantity(metric), "published", value.value, value.error)
        computed = float(row["median"])
        yield {
            **place,
            "quantity": computed_quantity(metric),
            "definition": definition,
            "value": [computed],
            "n": int(row["n"]),
        }
        off = computed - value.value
        yield _row(place, difference_quantity(metric), definition, off, value.error)


def _null_blocks(
    model: str, value: Value, nulls: Mapping[str, Medians]
) -> Iterator[tables.Columns]:
    """Yield the null for a published median's step and component, by each definition with one."""
    key = (model, value.step, value.component, METRICS[value.quantity])
    for definition, rows in nulls.items():
        if key in rows:
            row = rows[key]
            yield {
                **{name: row[name] for name in ("study", "parameters", "progress")},
                **{"model": model, "step": value.step, "component": value.component},
                **{"quantity": null_quantity(METRICS[value.quantity]), "definition": definition},
                **{"value": [float(row["median"])], "high": row["high"], "n": int(row["n"])},
            }


def _row(
    place: Mapping[str, Any], quantity: str, definition: str, value: float, error: float
) -> tables.Columns:
    ends = {"value": [value], "low": value - error, "high": value + error}
    return {**place, "quantity": quantity, "definition": definition, **ends}


def _pooled(scores: pd.DataFrame, definition: str) -> pd.DataFrame:
    """Select the rows over which a definition's median is taken.

    correct: whole layers, and for ranks the heads where there are any. published: whole layers,
    and for ranks the heads and the truncated whole layers pooled; CKA of `mlp_out` is the correct
    one, which the published code computed too.
    """
    scores = scores[scores["quantity"].isin(list(METRICS.values()))]
    by = scores["definition"] == definition
    head, cka = scores["head"].notna(), scores["quantity"] == "cka"
    if definition == "published":
        same = cka & (scores["component"] == "mlp_out") & (scores["definition"] == "correct")
        return scores[(by & ~(cka & head)) | same]
    whole = (scores["component"] == "mlp_out") | cka
    return scores[by & (head != whole)]


def _medians(rows: pd.DataFrame) -> Medians:
    """Compute medians and numbers of values by model, step, component and quantity."""
    grouped = rows.dropna(subset=["value"]).groupby(_KEYS)
    found = grouped.agg(
        study=("study", "first"),
        parameters=("parameters", "first"),
        progress=("progress", "first"),
        median=("value", "median"),
        high=("high", "median"),
        n=("value", "size"),
    )
    return cast(Medians, found.to_dict("index"))
