"""Cells of a map that are within their null, as hatching."""

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
_LIGHT = 0.65  # of the colour scale, from where on marks are black


def hatch(
    ax: Axes, values: pd.DataFrame, within: pd.DataFrame, scale: Normalize, bottom: int = 0
) -> None:
    """Hatch neighbouring cells of a row as one, white on dark colours and black on light ones.

    values: a map whose lowest row has its centre at `bottom` and whose first column at 0. within:
    the cells to hatch are True, also of rows or columns in another order.
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
    """What hatching means, where there is any, and a title, below the axes."""
    marks = [Patch(facecolor="0.3", edgecolor="white", hatch=_HATCH, linewidth=0)] * marked
    figure.legend(marks, [LABEL] * marked, loc="outside lower center", title=title)
