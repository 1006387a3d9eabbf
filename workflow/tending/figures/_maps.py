"""Square maps of similarity that figures share."""

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from tending.figures import _hatching, _panels
from tending.figures import _select as select
from tending.stages.trajectory.trajectory_tables import HALF_WIDTH, WITHIN

COLOURS = "viridis"
_MISSING = "0.85"
FEW = 4  # models of which each can have a column, or a row, of its own
HALF = 0.5  # of the layers; from there on a cell is marked
SIDE_BY_SIDE = 4  # panels of more models; narrower ones have titles of two lines


def squares(panels: int, columns: int) -> tuple[Figure, list[Axes]]:
    """A figure of about square axes in rows of `columns`; those of the last row may be unused."""
    rows = math.ceil(panels / columns)
    figure, axes = _panels.grid(rows, columns, 5.2 / columns + 0.4, 0.6)
    flat = [ax for row in axes for ax in row]
    for ax in flat[panels:]:
        ax.set_axis_off()
    return figure, flat[:panels]


def title(ax: Axes, model: str, part: str, columns: int) -> None:
    """What a panel shows."""
    ax.set_title(f"{model}\n{part}" if columns >= SIDE_BY_SIDE else f"{model}: {part}", loc="left")


def scale(values: pd.Series) -> Normalize:
    """From 0, or from below it if a value is negative, to 1."""
    return Normalize(min(0.0, float(values.min())), 1)


def show(ax: Axes, values: pd.DataFrame, norm: Normalize) -> None:
    """A square table of values; the first row is at the bottom, cells without a value are grey."""
    ax.set_facecolor(_MISSING)
    ax.imshow(
        values.to_numpy(dtype=float),
        norm=norm,
        cmap=COLOURS,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
    )
    ax.spines[:].set_visible(False)


def bar(figure: Figure, axes: Sequence[Axes], norm: Normalize, label: str) -> None:
    """The colour bar of all maps, to their right."""
    shades = ScalarMappable(norm, COLOURS)
    figure.colorbar(shades, ax=list(axes), label=label, fraction=0.03, pad=0.01, aspect=40)


def marks(ax: Axes, values: pd.DataFrame, within: pd.DataFrame, norm: Normalize) -> None:
    """Hatch the cells within their null. within: the share of layers that are, 0 to 1."""
    _hatching.hatch(ax, values, within.astype("float64") >= HALF, norm)


def key(figure: Figure, table: pd.DataFrame, metric: str) -> None:
    """What hatching means, where nulls are known, and how wide intervals are."""
    known = select.correct(table, f"{metric}{WITHIN}")["value"].notna().any()
    widths = select.correct(table, f"{metric}{HALF_WIDTH}")["value"]
    widths = widths[widths > 0]  # not of a layer with itself
    title = "95 % intervals of single layers are unknown"
    if len(widths):
        spread = f"± {widths.median():.2g} (median over cells), at most ± {widths.max():.2g}"
        title = f"95 % intervals of single layers: about {spread}"
    _hatching.key(figure, title, marked=bool(known))
