"""Hatching of map cells that are not above their null."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

LABEL = "not above the null: the 95 % quantile of the score of permuted sequences"
_HATCH = "//////"
_LIGHT = 0.65  # fraction of the colour scale from which marks are black


def hatch(
    ax: Axes, values: pd.DataFrame, within: pd.DataFrame, scale: Normalize, bottom: int = 0
) -> None:
    """Hatch adjacent cells of a row as one, white on dark colours and black on light ones.

    values: a map with the centre of its lowest row at `bottom` and of its first column at 0.
    within: True for cells to hatch; rows and columns may be in another order.
    """
    marked = within.reindex(index=values.index, columns=values.columns).eq(True).to_numpy()
    light = values.to_numpy(dtype=float) >= scale.inverse(_LIGHT)
    for row, kinds in enumerate(np.where(marked, np.where(light, 2, 1), 0), start=bottom):
        changes = np.flatnonzero(np.diff(kinds)) + 1
        for first, end in pairwise([0, *changes, len(kinds)]):
            if kinds[first]:
                colour = "black" if kinds[first] == 2 else "white"
                look: dict[str, Any] = {"edgecolor": colour, "hatch": _HATCH, "linewidth": 0}
                ax.add_patch(
                    Rectangle((first - 0.5, row - 0.5), end - first, 1, fill=False, **look)
                )


def key(figure: Figure, title: str = "", *, marked: bool = True) -> None:
    """Add a legend for the hatching, if `marked`, and a title, below the axes."""
    marks = [Patch(facecolor="0.3", edgecolor="white", hatch=_HATCH, linewidth=0)] * marked
    figure.legend(marks, [LABEL] * marked, loc="outside lower center", title=title)
