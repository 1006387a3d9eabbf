"""Association of similarity, rank and gradients with outcomes, controlling for training step.

Outcomes are the held-out loss and benchmark scores.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from tending.core.tables import Columns, table
from tending.metrics import spectrum
from tending.metrics.statistics.partial_correlation import Partial, partial, pooled, within_steps

SPEARMAN, PEARSON, WITHIN = "partial_spearman", "partial_pearson", "within_steps_pearson"
KINDS = (SPEARMAN, PEARSON, WITHIN)
GRADIENTS = "gradients"
COSINE = "gradient_cosine"
LOSS = "held_out_loss"
PLACE = ["model", "step"]


@dataclass(frozen=True)
class Asked:
    """Metrics that a study associates with outcomes. references: each model's reference step."""

    rank_metrics: Sequence[str]
    metrics: Sequence[str]
    references: Mapping[str, int]


def outcome_quantity(kind: str, predictor: str, outcome: str) -> str:
    """Name a correlation; kind: one of KINDS. The predictor's component is the row's."""
    return f"{kind}_{predictor}_vs_{outcome}"


def outcome_association(tables: Mapping[str, pd.DataFrame], asked: Asked) -> pd.DataFrame:
    """Compute partial correlations over the steps of every model, and pooled over models.

    tables: convergence, effective_rank and, if the study has them, loss, evaluations and
    gradients. Pooled rows have no model. See docs/tables.md for the quantities and
    tending.metrics.statistics.partial_correlation for the numbers.
    """
    before, after = predictors(tables, asked), outcomes(tables)
    sizes = tables["convergence"].drop_duplicates("model").set_index("model")["parameters"]
    study = tables["convergence"]["study"].iloc[0]
    blocks: list[Columns] = []
    for place, x in before.items():
        component, predictor = cast("tuple[str, str]", place)
        for outcome, y in after.items():
            series = dict(_series(x, y, list(sizes.index)))
            for kind in KINDS if series else ():
                name = outcome_quantity(kind, predictor, str(outcome))
                common = {"study": study, "component": component, "quantity": name}
                for model, part in _by_model(series, kind):
                    own = {} if model is None else {"model": model, "parameters": sizes[model]}
                    blocks += _rows({**common, **own, "definition": "correct"}, part)
    return table(_joined(blocks))


def _series(
    x: pd.Series, y: pd.Series, models: Sequence[str]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each model's steps x (x, y) where both are present; skip models without either."""
    for model in models:
        own = [s[s.index.get_level_values("model") == model].dropna() for s in (x, y)]
        if not (own[0].empty or own[1].empty):
            both = pd.concat([s.droplevel("model") for s in own], axis=1, join="inner")
            yield model, both.astype(float).sort_index()


def _by_model(
    series: Mapping[str, pd.DataFrame], kind: str
) -> Iterator[tuple[str | None, Partial]]:
    """Yield correlations of one kind: by model, except for WITHIN, then over all models (None)."""
    if kind == WITHIN:
        steps = sorted(set.intersection(*(set(own.index) for own in series.values())))
        both = np.stack([own.loc[steps].to_numpy() for own in series.values()])  # (M, T, 2)
        yield None, within_steps(both[..., 0], both[..., 1], np.array(steps))
        return
    parts = {
        model: partial(own.iloc[:, 0], own.iloc[:, 1], own.index.to_numpy(), ranks=kind == SPEARMAN)
        for model, own in series.items()
    }
    yield from parts.items()
    yield None, pooled(list(parts.values()))


def _rows(common: Mapping[str, Any], part: Partial) -> list[Columns]:
    shared = {**common, "n": part.n}
    p_value = f"{common['quantity']}_p_value"
    ends = {"value": part.value, "low": part.low, "high": part.high}
    return [{**shared, **ends}, {**shared, "quantity": p_value, "value": part.p_value}]


def _joined(blocks: Sequence[Columns]) -> list[Columns]:
    """Merge rows into one block, because a data frame per row would cost more than the numbers."""
    names = dict.fromkeys(name for block in blocks for name in block)
    return [{name: [block.get(name) for block in blocks] for name in names}] if blocks else []


def predictors(tables: Mapping[str, pd.DataFrame], asked: Asked) -> pd.DataFrame:
    """Return (model, step) x (component, predictor): medians over whole layers.

    Similarities exclude the reference step, where they are 1 by construction; a gradient's rank
    is named after the metric with the prefix `gradient_`.
    """
    rank = spectrum.lead(asked.rank_metrics)
    scores = _medians(tables["convergence"], list(asked.metrics))
    at = scores.index.get_level_values("step")
    reference = scores.index.get_level_values("model").map(asked.references)
    parts = [scores[at != reference], _medians(tables["effective_rank"], [rank])]
    if GRADIENTS in tables:
        own = _medians(tables[GRADIENTS], [COSINE, rank])
        parts.append(own.rename(columns={rank: f"gradient_{rank}"}, level="quantity"))
    joined = pd.concat([p for p in parts if p.size], axis=1)
    first = list(dict.fromkeys(joined.columns.get_level_values("component")))
    return _finite(joined[[n for part in first for n in joined.columns if n[0] == part]])


def _medians(rows: pd.DataFrame, quantities: Sequence[str]) -> pd.DataFrame:
    """Return (model, step) x (component, quantity), quantities in the requested order.

    NaN where a layer has no value: medians over different layers do not form one series.
    """
    kept = rows[rows["quantity"].isin(list(quantities)) & rows["head"].isna()]
    kept = kept[(kept["definition"] == "correct") & kept["component"].notna()]
    kept = kept.astype({"value": "float64", "component": object, "quantity": object})
    keys = [*PLACE, "component", "quantity"]
    layers = kept.groupby(keys)["value"]
    whole = layers.median().where(layers.count() == layers.size())
    wide = whole.unstack(["component", "quantity"])
    order = [(c, q) for c in kept["component"].unique() for q in quantities]
    return wide[[name for name in order if name in wide.columns]]


def outcomes(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return (model, step) x outcomes: held-out loss, then scores in the order of their table."""
    losses = tables.get("loss")
    parts = [] if losses is None else [losses[losses["quantity"] == LOSS]]
    if "evaluations" in tables:
        rows = tables["evaluations"]
        beside = rows["quantity"].str.endswith(("_standard_error", "_higher_is_better"))
        parts.append(rows[~beside])
    rows = pd.concat(parts)
    rows = rows.astype({"value": "float64", "quantity": object})
    wide = rows.set_index([*PLACE, "quantity"])["value"].unstack("quantity")
    return _finite(wide[list(rows["quantity"].unique())])


def _finite(wide: pd.DataFrame) -> pd.DataFrame:
    return wide.replace([np.inf, -np.inf], np.nan)
