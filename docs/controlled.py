"""Print the results of studies/controlled.yaml as Markdown: python docs/controlled.py TABLES."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tending.stages.synthesis.effects import least_squares

METRIC, THRESHOLDS = "cka_debiased", ("0.8", "0.9", "0.95")
EFFECTS = {
    "size": "per_doubling_of_size",
    "learning rate": "per_doubling_of_learning_rate",
    "size alone": "per_doubling_of_size_unadjusted",
}
ARMS = {
    "falling with size": ("d32-1e-2", "d64-5e-3", "d128-2.5e-3"),
    "the same": ("d32-5e-3", "d64-5e-3", "d128-5e-3"),
}


def main(tables: Path) -> None:
    names = ("effects", "groups", "stabilisation")
    effects, groups, settled = (pd.read_parquet(tables / f"{n}.parquet") for n in names)
    print(
        table(
            ["component", "threshold", *(f"per doubling of {n}" for n in EFFECTS)],
            _effects(effects),
        )
    )
    columns = ["component", "threshold", *(f"learning rate {arm}" for arm in ARMS)]
    print(table(columns, _arms(settled)))
    columns = ["group", "component", *(f"settled >= {t}" for t in THRESHOLDS)]
    columns += ["between seeds, last step", "95 % quantile of its null", "held-out loss"]
    print(table(columns, _groups(groups)))


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _effects(table: pd.DataFrame) -> list[list[str]]:
    table = table[(table["definition"] == "correct") & table["model"].isna()]
    rows = []
    for component in table["component"].dropna().unique():
        for threshold in THRESHOLDS:
            own = table[table["component"] == component].set_index("quantity")
            prefix = f"{METRIC}_stabilisation_fraction_{threshold}"
            cells = [number(own, f"{prefix}_{name}", "+.3f") for name in EFFECTS.values()]
            rows.append([f"`{component}`", threshold, *cells])
    return rows


def _arms(table: pd.DataFrame) -> list[list[str]]:
    """What a doubling of size does in each arm alone, as one would see it who had only that one."""
    medians = table[table["layer"].isna() & (table["definition"] == "correct")]
    rows = []
    for component in medians["component"].unique():
        for threshold in THRESHOLDS:
            named = medians["quantity"] == f"{METRIC}_stabilisation_fraction_{threshold}"
            own = medians[named & (medians["component"] == component)]
            cells = []
            for groups in ARMS.values():
                arm = own[own["model"].str.rsplit("-s", n=1).str[0].isin(groups)]
                size = np.log2(arm[["parameters"]].to_numpy(dtype=float))
                fit = least_squares(arm["value"].to_numpy(dtype=float), size)
                ends = (format(e[1], "+.3f") for e in (fit.value, fit.low, fit.high))
                cells.append("{} [{}, {}]".format(*ends))
            rows.append([f"`{component}`", threshold, *cells])
    return rows


def _groups(table: pd.DataFrame) -> list[list[str]]:
    whole = table[table["layer"].isna() & (table["definition"] == "correct")]
    last = whole[whole["step"].isna() | (whole["step"] == whole["step"].max())]
    rows = []
    pairs = table["model"].str.contains(" / ")
    for group in table.loc[~pairs, "model"].unique():
        own = last[last["model"] == group]
        loss = number(own.set_index("quantity"), "held_out_loss", ".3f")
        for component in own["component"].dropna().unique():
            named = own[own["component"] == component].set_index("quantity")
            names = [f"{METRIC}_stabilisation_fraction_{t}" for t in THRESHOLDS]
            cells = [number(named, n, ".3f") for n in (*names, f"{METRIC}_between_seeds")]
            null = named.loc[f"{METRIC}_between_seeds_null", "high"]
            rows.append([f"`{group}`", f"`{component}`", *cells, format(float(null), ".3f"), loss])
    return rows


def number(rows: pd.DataFrame, quantity: str, form: str) -> str:
    """`value [low, high]`, or a dash where it is missing."""
    if quantity not in rows.index or pd.isna(rows.loc[quantity, "value"]):
        return "-"
    ends = rows.loc[quantity, ["value", "low", "high"]].astype("float64")
    value, low, high = (format(v, form) for v in ends)
    return value if low.endswith("nan") else f"{value} [{low}, {high}]"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
