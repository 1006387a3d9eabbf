"""Shared parts of the association figures: choice of panels, and text for titles."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import pandas as pd

from tending.core.tables import WHOLE
from tending.figures import Options
from tending.figures import _select as select
from tending.stages.convergence.stabilisation_rows import fraction_quantity
from tending.stages.synthesis.association_table import (
    Asked,
    association_quantity,
    at_progress,
    p_value_quantity,
    score_quantity,
)

FEW = "too few layers, or all alike"
WITHIN = "_heads_within_layers"


class Row(NamedTuple):
    """A row of panels: a component's whole layers, or its heads."""

    component: str
    kind: str

    @property
    def label(self) -> str:
        """Name for the reader."""
        return select.component_label(self.component) + (", heads" if self.kind else "")


def asked(tables: Mapping[str, pd.DataFrame], options: Options) -> Asked:
    """Choose one rank, one similarity, the middle threshold and the last early progress."""
    thresholds, steps = (
        sorted(options.thresholds),
        tables["effective_rank"].groupby("model")["step"],
    )
    early = [p for p in sorted(options.progress) if p <= options.early]
    return Asked(
        [options.lead_rank_metric],
        [options.lead_metric],
        [thresholds[len(thresholds) // 2]],
        (early or sorted(options.progress))[-1:],
        {**{str(model): int(last) for model, last in steps.max().items()}, **options.references},
    )


def rows(tables: Mapping[str, pd.DataFrame], options: Options) -> list[Row]:
    """Return components that have ranks and scores, whole layers before heads."""
    metric, rank = options.lead_metric, options.lead_rank_metric
    scores, ranks = tables["convergence"], tables["effective_rank"]
    found = []
    for component in select.components(scores, [metric]):
        for kind in ("", "_heads"):
            sides = (scores, metric), (ranks, rank)
            own = [select.by_layer(t, q, component, heads=bool(kind)) for t, q in sides]
            if not any(side.empty for side in own):
                found.append(Row(component, kind))
    if not found:
        raise ValueError(f"nothing to draw: no component has both {rank} and {metric}")
    return found


def outcomes(wanted: Asked) -> dict[str, str]:
    """Return axis labels by name of the outcome."""
    (metric,), (threshold,) = wanted.metrics, wanted.thresholds
    label = select.metric_label(metric)
    named = {
        fraction_quantity(metric, threshold): f"fraction of training\nto stay $\\geq$ {threshold:g}"
    }
    for progress in wanted.progress:
        named[score_quantity(metric, progress)] = f"{label}\nat {100 * progress:g} % of training"
    return named


def null_ends(
    scores: pd.DataFrame, row: Row, wanted: Asked, progress: float, models: Collection[str]
) -> tuple[float, float] | None:
    """Return the smallest mean and largest 95 % quantile among the nulls of a panel's points.

    scores: the table `convergence`; nulls are interpolated between checkpoints like scores. None
    if no null is known there.
    """
    known = select.null(scores, wanted.metrics[0], row.component, heads=bool(row.kind))
    ends = []
    for model, own in known.groupby("model", sort=False):
        if model in models:
            for end in ("low", "high"):
                rows = own.assign(value=own[end], head=WHOLE)
                ends.append(at_progress(rows, progress, wanted.references[str(model)]))
    reached = pd.concat(ends or [pd.Series(dtype=float)]).dropna()
    return (float(reached.min()), float(reached.max())) if len(reached) else None


def correlations(
    table: pd.DataFrame, row: Row, wanted: Asked, when: str, outcome: str, kind: str | None = None
) -> pd.DataFrame:
    """Return the correlations of one panel; pooled ones have no model."""
    kind = row.kind if kind is None else kind
    found = select.correct(table, association_quantity(wanted.lead, when, outcome, kind))
    return found[found["component"] == row.component]


def sentence(table: pd.DataFrame, row: Row, wanted: Asked, outcome: str) -> str:
    """Format the pooled correlation at the reference step, with interval, p-value and number."""
    text, n = _pooled(table, row, wanted, outcome, row.kind)
    lines = [f"{text}, n = {n}" if n else text]
    if row.kind:
        lines.append(f"within layers: {_pooled(table, row, wanted, outcome, WITHIN)[0]}")
    return "\n".join(lines)


def _pooled(
    table: pd.DataFrame, row: Row, wanted: Asked, outcome: str, kind: str
) -> tuple[str, int]:
    """Format the pooled correlation; also return the number of layers or heads."""
    found = correlations(table, row, wanted, "reference", outcome, kind)
    found = found[found["model"].isna() & found["value"].notna()]
    if found.empty:
        return FEW, 0
    pooled = found.iloc[0]
    name = p_value_quantity(association_quantity(wanted.lead, "reference", outcome, kind))
    p_values = select.correct(table, name)
    own = p_values[(p_values["component"] == row.component) & p_values["model"].isna()]
    ends = f" [{pooled['low']:.2f}, {pooled['high']:.2f}]" if pd.notna(pooled["low"]) else ""
    p_value = float(own["value"].iloc[0])
    return f"$\\rho$ = {pooled['value']:.2f}{ends}, p = {p_value:.2g}", int(pooled["n"])


def how_many(table: pd.DataFrame) -> str:
    """Describe the number of correlations in a table."""
    p_value = table["quantity"].str.endswith(p_value_quantity(""))
    count = int((~p_value & table["value"].notna()).sum())
    return f"the table has {count:,} correlations; p is not corrected for that"
