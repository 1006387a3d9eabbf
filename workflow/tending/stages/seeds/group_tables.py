"""The table of groups: means over the seeds of each configuration, with intervals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from tending.core import tables
from tending.metrics.statistics import means
from tending.stages.convergence import stabilisation_rows

Members = Mapping[str, Sequence[str]]  # group -> models

_KEYS = ["component", "layer", "step", "quantity", "definition"]
_LOSS = "held_out_loss"
_ENDS = ("value", "low", "high")


def heads_quantity(metric: str) -> str:
    """Name the mean of a metric over the heads of a layer."""
    return f"{metric}_over_heads"


def groups(
    members: Members,
    convergence: pd.DataFrame,
    ranks: pd.DataFrame,
    stabilisation: pd.DataFrame,
    loss: pd.DataFrame,
    metrics: Sequence[str],
    rank_metrics: Sequence[str],
    thresholds: Sequence[float],
) -> list[tables.Columns]:
    """Return blocks of all quantities pooled over the seeds of every group; see docs/tables.md.

    metrics, rank_metrics: names of similarities and of spectrum metrics. Raises ValueError if the
    seeds of a group have different numbers of parameters.
    """
    fractions = [stabilisation_rows.fraction_quantity(m, t) for m in metrics for t in thresholds]
    layers = [
        _whole(convergence, metrics),
        _whole(ranks, rank_metrics),
        _over_heads(ranks, rank_metrics),
    ]
    wanted = stabilisation["quantity"].isin(fractions) & stabilisation["head"].isna()
    settled = stabilisation[wanted]
    medians = [_medians(frame) for frame in layers]
    rows = [*layers, *medians, settled, loss[loss["quantity"] == _LOSS]]
    blocks: list[tables.Columns] = []
    for group, models in members.items():
        blocks += [_pooled(group, models, frame) for frame in rows]
        blocks.append(_bracket(group, models, settled))
    return blocks


def _whole(table: pd.DataFrame, quantities: Iterable[str]) -> pd.DataFrame:
    """Select rows of whole layers."""
    wanted = table["quantity"].isin(list(quantities)) & table["layer"].notna()
    return table[wanted & table["head"].isna()]


def _over_heads(table: pd.DataFrame, quantities: Iterable[str]) -> pd.DataFrame:
    """Average over the heads of every layer; NaN where a head has no value."""
    heads = table[table["quantity"].isin(list(quantities)) & table["head"].notna()]
    reduced = _reduced(heads, _KEYS, "mean").assign(head=None)
    return reduced.assign(quantity=reduced["quantity"].map(heads_quantity).astype("string"))


def _medians(layers: pd.DataFrame) -> pd.DataFrame:
    """Compute medians over the whole layers of every model; NaN where a layer has no value."""
    keys = [key for key in _KEYS if key != "layer"]
    return _reduced(layers, keys, "median").assign(layer=None)


def _reduced(rows: pd.DataFrame, keys: list[str], how: Literal["mean", "median"]) -> pd.DataFrame:
    """Reduce rows of every model and key to one with their mean or median.

    Other columns are those of the first row.
    """
    by = [rows[key] for key in ("model", *keys)]
    values = rows["value"].astype("float64").groupby(by, dropna=False, sort=False)
    whole = values.transform("count") == values.transform("size")
    reduced = values.transform(how).where(whole)
    return rows.assign(value=reduced).drop_duplicates(["model", *keys])


def _pooled(group: str, models: Sequence[str], rows: pd.DataFrame) -> tables.Columns:
    """Return rows of one group: means over its models for every key that all of them have."""
    own = rows[rows["model"].isin(list(models))]
    if own.empty:
        return {}
    place = own.groupby(_KEYS, dropna=False, sort=False).ngroup()
    shared = place.groupby(place).transform("size") == len(models)
    own, place = own[shared], place[shared]
    at = own[_KEYS].groupby(place).first()
    values = own.assign(place=place, value=own["value"].astype("float64"))
    wide = values.pivot(index="place", columns="model", values="value").reindex(at.index)
    pooled = means.mean(wide.to_numpy(), axis=1)
    return {
        "study": own["study"].iloc[0],
        "model": group,
        "parameters": size(group, own),
        **{key: at[key].array for key in _KEYS},
        "progress": _progress(own, at["step"]),
        **pooled._asdict(),
        "n": wide.notna().sum(axis=1).to_numpy(),
    }


def _bracket(group: str, models: Sequence[str], settled: pd.DataFrame) -> tables.Columns:
    """Average both ends of the seeds' brackets, which enclose the mean settling time."""
    ends = {c: _pooled(group, models, settled.assign(value=settled[c])) for c in _ENDS}
    if not ends["value"]:
        return {}
    named = [f"{quantity}{means.BRACKET}" for quantity in ends["value"]["quantity"]]
    return {**ends["value"], "quantity": named, **{c: ends[c]["value"] for c in _ENDS}}


def _progress(own: pd.DataFrame, steps: pd.Series) -> Any:
    """Look up the progress at each of `steps` in the models' own rows."""
    known = own.dropna(subset="step").drop_duplicates("step").set_index("step")["progress"]
    return steps.map(known.to_dict()).astype("Float64").array


def size(group: str, rows: pd.DataFrame) -> int:
    """Return the number of parameters of a group's seeds; ValueError if it differs."""
    sizes = rows.drop_duplicates("model").set_index("model")["parameters"]
    for model, number in sizes.items():
        if number != sizes.iloc[0]:
            raise ValueError(
                f"group {group}: {sizes.index[0]} has {sizes.iloc[0]} parameters, {model} has "
                f"{number}: they are not seeds of one configuration; take one out of the group"
            )
    return int(sizes.iloc[0])
