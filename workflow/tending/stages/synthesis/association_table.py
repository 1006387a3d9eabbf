"""Table of the association between rank and convergence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tending.core.arrays import Matrix
from tending.core.tables import WHOLE, Columns, table
from tending.metrics import spectrum
from tending.metrics.statistics.rank_correlation import LEAST, associate
from tending.stages.convergence.stabilisation_rows import fraction_quantity

READ = ("effective_rank", "convergence", "stabilisation")
UNIT = ["model", "layer", "head"]
# Strata of units: a model's layers, its heads, or the heads of one layer.
KINDS = {"": ["model"], "_heads": ["model"], "_heads_within_layers": ["model", "layer"]}


def score_quantity(metric: str, progress: float) -> str:
    """Name the similarity at a fraction of training, as part of an association's name."""
    return f"{metric}_at_{progress:g}"


def association_quantity(rank: str, when: str, outcome: str, kind: str = "") -> str:
    """Name the Spearman correlation of `rank` with `outcome`; when: `reference` or `step`."""
    return f"spearman_{rank}_at_{when}_vs_{outcome}{kind}"


def p_value_quantity(quantity: str) -> str:
    """Name the two-sided p-value of a correlation."""
    return f"{quantity}_p_value"


@dataclass(frozen=True)
class Asked:
    """Quantities that a study associates, as in its config.

    references: each model's reference step.
    """

    rank_metrics: Sequence[str]
    metrics: Sequence[str]
    thresholds: Sequence[float]
    progress: Sequence[float]
    references: Mapping[str, int]

    @property
    def lead(self) -> str:
        """The rank metric that is correlated at all steps."""
        return spectrum.lead(self.rank_metrics)


def association(tables: Mapping[str, pd.DataFrame], asked: Asked) -> pd.DataFrame:
    """Correlate layers' ranks with their settling times and similarities (Spearman).

    tables: those of READ, by name. There are rows per model and rows pooled over models, which have
    no model; see docs/tables.md for the quantities and `metrics.statistics.rank_correlation` for
    the numbers.
    """
    pairs = tables["effective_rank"][["component", "definition"]].drop_duplicates()
    blocks: list[Columns] = []
    for (component, definition), kind in product(pairs.itertuples(index=False), KINDS):
        own = of_kind(tables, asked, component, kind, definition)
        if not any(rows.empty for rows in own):
            blocks += _blocks(own, asked, kind)
    return table(blocks)


class Measured(NamedTuple):
    """Rows of ranks, scores and stabilisation of one component's layers, or of its heads."""

    ranks: pd.DataFrame
    scores: pd.DataFrame
    settled: pd.DataFrame


def of_kind(
    tables: Mapping[str, pd.DataFrame],
    asked: Asked,
    component: str,
    kind: str,
    definition: str = "correct",
) -> Measured:
    """Select the rows of the three tables that are associated, with missing values as NaN."""
    fractions = [fraction_quantity(m, t) for m in asked.metrics for t in asked.thresholds]
    quantities_of = zip(READ, (asked.rank_metrics, asked.metrics, fractions), strict=True)
    found = []
    for name, quantities in quantities_of:
        rows = tables[name]
        named = rows["quantity"].isin(list(quantities)) & (rows["component"] == component)
        whole = rows["head"].isna() == (kind == "")
        kept = rows[named & whole & (rows["definition"] == definition) & rows["layer"].notna()]
        kept = kept.assign(head=kept["head"].fillna(WHOLE))
        found.append(kept.astype({"value": "float64", "progress": "float64"}))
    return Measured(*found)


def at_the_end(own: Measured, asked: Asked) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return units x rank metrics at their model's reference step, and the units' outcomes."""
    ranks, outcomes = own.ranks, _outcomes(own.scores, own.settled, asked)
    rows = ranks[ranks["step"] == ranks["model"].map(asked.references)]
    wide = rows.set_index([*UNIT, "quantity"])["value"].unstack("quantity")
    units = wide.index.intersection(outcomes.index).sort_values()
    return wide.reindex(index=units, columns=list(asked.rank_metrics)), outcomes.loc[units]


def _blocks(found: Measured, asked: Asked, kind: str) -> Iterator[Columns]:
    """Yield rows of one component's layers or heads: for every model, then for all together."""
    ranks = found.ranks
    at_reference, outcomes = at_the_end(found, asked)
    lead = _by_step(ranks[ranks["quantity"] == asked.lead]).reindex(outcomes.index)
    models = outcomes.index.get_level_values("model")
    common = {name: ranks[name].iloc[0] for name in ("study", "component", "definition")}
    for model in [*(m for m in ranks["model"].unique() if m in models), None]:
        own = outcomes.index if model is None else outcomes.index[models == model]
        rows = ranks if model is None else ranks[ranks["model"] == model]
        place = common if model is None else {**common, **_model(rows)}
        measured = lead.loc[own].dropna(axis="columns", how="all")
        steps = [int(s) for s in measured.columns if _has_all_models(measured[s])]
        before = pd.concat([at_reference.loc[own].T, measured[steps].T])
        where = _where(rows, steps, asked)
        yield from _correlations(before, outcomes.loc[own].T, place, where, kind)


def _correlations(
    before: pd.DataFrame,
    outcomes: pd.DataFrame,
    place: Mapping[str, Any],
    where: Mapping[str, Sequence[Any]],
    kind: str,
) -> Iterator[Columns]:
    """Yield correlations and p-values of all ranks with all outcomes.

    before: (ranks, units); outcomes: (outcomes, units); where: columns that depend on the rank.
    """
    units = before.columns.to_frame(index=False)
    strata = units.groupby(KINDS[kind], sort=False).ngroup().to_numpy()
    if len(strata) - len(set(strata)) + 1 < LEAST:
        return  # too few units for any correlation
    found = associate(before.to_numpy(float), outcomes.to_numpy(float), strata)
    names = zip(where["rank"], where["when"], strict=True)
    quantities = np.array(
        [[association_quantity(*name, str(o), kind) for o in outcomes.index] for name in names]
    )
    repeated = {name: np.repeat(where[name], len(outcomes)) for name in ("step", "progress")}
    shared = {**place, **repeated, "n": found.n.ravel()}
    ends = {"value": found.value, "low": found.low, "high": found.high}
    yield {
        **shared,
        "quantity": quantities.ravel(),
        **{name: numbers.ravel() for name, numbers in ends.items()},
    }
    p_values = [p_value_quantity(str(name)) for name in quantities.ravel()]
    yield {**shared, "quantity": p_values, "value": found.p_value.ravel()}


def _where(rows: pd.DataFrame, steps: Sequence[int], asked: Asked) -> dict[str, list[Any]]:
    """Return rank metric, `when`, step and progress of every rank: at the reference, then by step.

    Step and progress are missing where they differ between models.
    """
    models = list(rows["model"].unique())
    progress = rows.groupby("step")["progress"].agg(lambda p: p.iloc[0] if _one(p) else np.nan)
    references = {asked.references[model] for model in models}
    reference = references.pop() if len(references) == 1 else None
    moments = [reference] * len(asked.rank_metrics) + list(steps)
    return {
        "rank": [*asked.rank_metrics, *[asked.lead] * len(steps)],
        "when": ["reference"] * len(asked.rank_metrics) + ["step"] * len(steps),
        "step": pd.array(moments, dtype="Int64"),  # type: ignore[dict-item]
        "progress": [np.nan if step is None else float(progress[step]) for step in moments],
    }


def _one(numbers: pd.Series) -> bool:
    return bool(np.isclose(numbers, numbers.iloc[0], rtol=1e-12).all())


def _model(rows: pd.DataFrame) -> dict[str, Any]:
    return {name: rows[name].iloc[0] for name in ("model", "parameters")}


def _has_all_models(values: pd.Series) -> bool:
    """Return whether every model has a value, so that all steps pool the same models."""
    return bool(values.notna().groupby(level="model").any().all())


def _by_step(rows: pd.DataFrame) -> pd.DataFrame:
    """Pivot values to units x steps."""
    return rows.set_index([*UNIT, "step"])["value"].unstack("step").sort_index(axis="columns")


def _outcomes(scores: pd.DataFrame, settled: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    """Return units x outcomes: settling times, and similarities at a given progress.

    A unit that never settles has infinity, later than all that do; one without any score has NaN.
    """
    fractions = settled.set_index([*UNIT, "quantity"])["value"].unstack("quantity")
    columns: dict[str, pd.Series] = {}
    for metric in asked.metrics:
        own = scores[scores["quantity"] == metric]
        scored = own.groupby(UNIT)["value"].count() > 0
        for threshold in asked.thresholds:
            name = fraction_quantity(metric, threshold)
            found = fractions.get(name, pd.Series(dtype=float)).reindex(scored.index)
            columns[name] = found.fillna(np.inf).where(scored)
        for progress in asked.progress:
            parts = [
                at_progress(rows, progress, asked.references[str(model)])
                for model, rows in own.groupby("model", sort=False)
            ]
            columns[score_quantity(metric, progress)] = pd.concat(parts or [pd.Series(dtype=float)])
    return pd.DataFrame(columns)


def at_progress(rows: pd.DataFrame, progress: float, reference: int) -> pd.Series:
    """Interpolate one model's scores of each unit at a fraction of training.

    Missing where no two checkpoints enclose it, or where one of them is the reference step, whose
    score is 1 by construction.
    """
    wide = _by_step(rows)
    moments = rows.groupby("step")["progress"].first().reindex(wide.columns).to_numpy(float)
    scores: Matrix = wide.to_numpy(float, copy=True)
    scores[:, wide.columns.to_numpy() == reference] = np.nan
    exact = np.flatnonzero(np.isclose(moments, progress, rtol=1e-9))
    after = int(np.searchsorted(moments, progress))
    if exact.size:
        found = scores[:, exact[0]]
    elif 0 < after < len(moments):
        # ASSUME: between two checkpoints a score is linear in the step
        share = (progress - moments[after - 1]) / (moments[after] - moments[after - 1])
        found = (1 - share) * scores[:, after - 1] + share * scores[:, after]
    else:
        found = np.full(len(wide), np.nan)
    return pd.Series(found, index=wide.index)
