"""Bands behind the scores that show their null, the score of permuted sequences."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from tending.figures._style import Look

BAND: dict[str, Any] = {"facecolor": "0.82", "edgecolor": "0.55", "linewidth": 0.5}
LABEL = "null (score of permuted sequences), mean to 95 % quantile"
_ALIKE = 0.05  # nulls of models that differ by less are drawn as one band
_FEW = 3  # up to this many models' bands can be distinguished


def by_step(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the smallest mean and the largest 95 % quantile over layers at each step."""
    return rows.groupby("step").agg(low=("low", "min"), high=("high", "max"))


def key() -> Patch:
    """Return the legend key of the band."""
    return Patch(**BAND)


def band(ax: Axes, ends: pd.DataFrame, at: np.ndarray | None = None) -> None:
    """Draw a grey band behind everything else; ends: low and high by step.

    at: x positions of the steps, if not the steps themselves.
    """
    if len(ends):
        places = ends.index.to_numpy(dtype=float) if at is None else at
        low, high = (ends[name].to_numpy(dtype=float) for name in ("low", "high"))
        ax.fill_between(places, low, high, zorder=0.5, **BAND)


def note(known: pd.DataFrame, alike: bool, whose: str) -> str:
    """Return a legend line that explains the bands; empty if no null is known."""
    where = "grey" if alike else f"grey, or in a {whose}'s colour below a dotted line"
    return f"\n{where}: {LABEL}" if known["high"].notna().any() else ""


def of_models(
    ax: Axes, rows: pd.DataFrame, looks: dict[str, Look], *, relative: bool = False
) -> bool:
    """Draw bands of several models, medians over layers; return whether they were drawn as one.

    Nulls that are nearly equal are drawn as one grey band. Otherwise each has the model's colour: a
    dotted line at the top and, with few models, a band. relative: compare nulls by their ratios,
    for a logarithmic axis.
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
