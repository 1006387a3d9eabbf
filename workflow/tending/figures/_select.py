"""Selection of rows from the tidy tables, for figures and the summary."""

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import pandas as pd

from tending.components import DEFAULT
from tending.components import component as describe
from tending.core import plugins
from tending.figures import Options
from tending.metrics import spectrum
from tending.stages.convergence.score_rows import heads_null_quantity, null_quantity

MOST_MODELS = 12  # with more, only the first of every group of seeds is drawn
COMPONENTS = DEFAULT  # are shown first


def correct(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return rows of one quantity by the correct definition, with float64 values and progress."""
    kept = table[(table["definition"] == "correct") & (table["quantity"] == quantity)].copy()
    for column in ("value", "low", "high", "progress"):
        kept[column] = pd.to_numeric(kept[column]).astype("float64")
    return kept


def by_layer(
    table: pd.DataFrame, quantity: str, component: str, *, heads: bool = False
) -> pd.DataFrame:
    """Return rows of `quantity`, one per layer (or, with `heads`, one per head of a layer)."""
    kept = correct(table, quantity)
    head = kept["head"].notna() if heads else kept["head"].isna()
    kept = kept[(kept["component"] == component) & kept["layer"].notna() & head]
    whole = {c: "int64" for c in ("layer", "step") if kept[c].notna().all()}
    return kept.astype(whole)


def null(table: pd.DataFrame, metric: str, component: str, *, heads: bool = False) -> pd.DataFrame:
    """Return every layer's null score: `low` is its mean, `high` its 95 % quantile.

    heads: the smallest mean and the largest quantile over the layer's heads.
    """
    quantity = heads_null_quantity(metric) if heads else null_quantity(metric)
    rows = by_layer(table, quantity, component)
    return rows.assign(low=rows["value"])


def within_null(table: pd.DataFrame, metric: str, component: str) -> pd.DataFrame:
    """Return scores of layers with a null; `within`: whether not above its 95 % quantile."""
    keys = ["model", "layer", "step"]
    ends = null(table, metric, component)[[*keys, "high"]].rename(columns={"high": "null_high"})
    rows = by_layer(table, metric, component).merge(ends, on=keys)
    rows = rows.dropna(subset=["value", "null_high"])
    return rows.assign(within=rows["value"] <= rows["null_high"])


def of_model(table: pd.DataFrame, quantity: str, component: str) -> pd.DataFrame:
    """Return rows of `quantity` that summarise all layers of a model, one per model."""
    kept = correct(table, quantity)
    return kept[(kept["component"] == component) & kept["layer"].isna()]


def models(table: pd.DataFrame, options: Options) -> list[str]:
    """Return the models of a table to draw, smallest to largest; ties in the order of the config.

    In a study with many models, only the first of every group of seeds.
    """
    names = every_model(table, options)
    if len(options.models) <= MOST_MODELS:
        return names
    firsts: dict[str, str] = {}
    for name in options.models:
        firsts.setdefault(options.groups.get(name, name), name)
    return [name for name in names if name in firsts.values()]


def every_model(table: pd.DataFrame, options: Options) -> list[str]:
    """Return all models of a table, smallest to largest; ties in the order of the config."""
    sizes = table.drop_duplicates("model").set_index("model")["parameters"]
    order = {name: i for i, name in enumerate(options.models)}
    names = [str(name) for name in sizes.index]
    return sorted(names, key=lambda m: (int(sizes[m]), order.get(m, len(order)), m))


def groups(table: pd.DataFrame, options: Options) -> list[str]:
    """Return the groups of a group table, smallest to largest; ties in the order of the config."""
    sizes = table.drop_duplicates("model").set_index("model")["parameters"]
    order = list(dict.fromkeys(options.groups.values()))
    return sorted(order, key=lambda group: int(sizes.get(group, 0)))


def components(table: pd.DataFrame, quantities: Iterable[str]) -> list[str]:
    """Return components for which any of `quantities` was measured, attention first.

    Raises ValueError if there is none, naming the quantities that the table has.
    """
    wanted = list(quantities)
    kept = table[table["quantity"].isin(wanted) & table["layer"].notna()]
    measured = {str(c) for c in kept["component"].dropna().unique()}
    if not measured:
        known = ", ".join(sorted(table["quantity"].astype(str).unique())) or "nothing"
        raise ValueError(
            f"nothing to draw: the table holds {known}, but the figure needs "
            f"{' or '.join(wanted)}; check the metrics in the config"
        )
    return [c for c in COMPONENTS if c in measured] + sorted(measured.difference(COMPONENTS))


def quartiles(rows: pd.DataFrame) -> pd.DataFrame:
    """Compute lower quartile, median and upper quartile of `value` at each step (the index)."""
    spread = rows.groupby("step")["value"].quantile(np.array([0.25, 0.5, 0.75])).unstack()
    return spread.set_axis(["lower", "median", "upper"], axis="columns")


def layer_by_step(rows: pd.DataFrame, column: str = "value") -> pd.DataFrame:
    """Pivot a column for one model and component: layers as rows, steps as columns."""
    return rows.pivot(index="layer", columns="step", values=column).sort_index()


def without_reference(rows: pd.DataFrame) -> pd.DataFrame:
    """Drop each model's reference step, where scores are 1 by construction."""
    trivial = (rows["value"] - 1).abs().groupby([rows["model"], rows["step"]]).transform("max")
    return rows[trivial > 1e-9]


def layers(table: pd.DataFrame, model: str) -> int:
    """Return the number of layers of `model` in a table."""
    return int(table.loc[table["model"] == model, "layer"].dropna().nunique())


def component_label(component: str) -> str:
    """Return a component's label, from its own file."""
    return describe(component).label


def metric_label(metric: str) -> str:
    """Return a similarity metric's label: `cka_debiased` becomes `CKA (debiased)`."""
    first, *rest = metric.split("_")
    if len(first) > 5:
        return metric.replace("_", " ").capitalize()
    return f"{first.upper()} ({' '.join(rest)})" if rest else first.upper()


def rank_label(metric: str) -> str:
    """Return a spectrum metric's label, from its own file: `gini` becomes `Gini coefficient`."""
    return str(plugins.load(spectrum.__name__, metric, "spectrum metric").METRIC.label)


def probe_label(table: pd.DataFrame, options: Options) -> str:
    """Describe the number of sequences behind a table's scores, and where they were probed."""
    several = options.position == "all" or options.position.startswith("[")
    rows = "positions" if several else "sequences"
    return f"n = {spread(table, options.sequences)} {rows}, {place(options.position)}"


def spread(table: pd.DataFrame, otherwise: int) -> str:
    """Describe the values of n in a table: one number, or the smallest and the largest."""
    counts = sorted({int(n) for n in table["n"].dropna()}) or [otherwise]
    return " to ".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]]))


def place(position: str) -> str:
    """Describe the probed position: `last position`, `all positions`, `position -2`, or several."""
    if position.startswith("["):
        return f"positions {position.strip('[]')}"
    return {"last": "last position", "all": "all positions"}.get(position, f"position {position}")


def count(number: float) -> str:
    """Format a number of parameters with three digits: 91.2 k, 1.06 M, 2.78 B."""
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def steps(rows: pd.DataFrame) -> Sequence[int]:
    """Return the distinct steps, ascending."""
    return cast("list[int]", sorted(int(s) for s in rows["step"].dropna().unique()))
