"""The score of permuted sequences, as a band behind the scores."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from tending.figures._style import Look

BAND: dict[str, Any] = {"facecolor": "0.82", "edgecolor": "0.55", "linewidth": 0.5}
LABEL = "null (score of permuted sequences), mean to 95 % quantile"
_ALIKE = 0.05  # nulls of models that differ by less are drawn as one
_FEW = 3  # models whose bands can be told apart


def by_step(rows: pd.DataFrame) -> pd.DataFrame:
    """From the smallest mean to the largest 95 % quantile of the layers, step by step."""
    return rows.groupby("step").agg(low=("low", "min"), high=("high", "max"))


def key() -> Patch:
    """What stands for the band in a legend."""
    return Patch(**BAND)


def band(ax: Axes, ends: pd.DataFrame, at: np.ndarray | None = None) -> None:
    """A grey band behind all else; ends: low and high by step.

    at: where to draw each step, if not at its number.
    """
    if len(ends):
        places = ends.index.to_numpy(dtype=float) if at is None else at
        low, high = (ends[name].to_numpy(dtype=float) for name in ("low", "high"))
        ax.fill_between(places, low, high, zorder=0.5, **BAND)


def note(known: pd.DataFrame, alike: bool, whose: str) -> str:
    """A line for a legend that says what the bands are; empty if no null is known."""
    where = "grey" if alike else f"grey, or in a {whose}'s colour below a dotted line"
    return f"\n{where}: {LABEL}" if known["high"].notna().any() else ""


def of_models(
    ax: Axes, rows: pd.DataFrame, looks: dict[str, Look], *, relative: bool = False
) -> bool:
    """Bands of several models, medians over layers; True if they were alike and became one.

    Others have the model's colour: a band where models are few, and a dotted line at the top.
    relative: whether they are alike by their ratios, for a logarithmic axis.
    """
    own = {m: r.groupby("step")[["low", "high"]].median() for m, r in rows.groupby("model")}
    if _alike(list(own.values()), relative=relative):
        if own:
            band(ax, by_step(pd.concat(own.values())))
        return True
    for model, look in looks.items():
        if model in own:
            at, ends = own[model].index.to_numpy(dtype=float), own[model].to_numpy(dtype=float)
            if len(own) <= _FEW:
                ax.fill_between(at, *ends.T, color=look.colour, alpha=0.12, lw=0, zorder=0.5)
            ax.plot(at, ends[:, 1], color=look.colour, linestyle=":", linewidth=0.7, zorder=0.6)
    return False


def _alike(ends: list[pd.DataFrame], *, relative: bool) -> bool:
    if len(ends) < 2:
        return True
    steps = pd.concat(ends).groupby(level=0)
    largest = steps.max()
    apart = (largest - steps.min()) / (largest.abs() if relative else 1)
    return bool(apart.max().max() <= _ALIKE)
