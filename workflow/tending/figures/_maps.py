"""Square maps of similarity, shared by figures."""

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
FEW = 4  # up to this many models, each has its own column or row
HALF = 0.5  # share of layers within their null from which a cell is marked
SIDE_BY_SIDE = 4  # panels in a row with more models; from this many on, titles have two lines


def squares(panels: int, columns: int) -> tuple[Figure, list[Axes]]:
    """Create roughly square axes in rows of `columns`; surplus axes of the last row are hidden."""
    rows = math.ceil(panels / columns)
    figure, axes = _panels.grid(rows, columns, 5.2 / columns + 0.4, 0.6)
    flat = [ax for row in axes for ax in row]
    for ax in flat[panels:]:
        ax.set_axis_off()
    return figure, flat[:panels]


def title(ax: Axes, model: str, part: str, columns: int) -> None:
    """Set a panel's title: model and part."""
    ax.set_title(f"{model}\n{part}" if columns >= SIDE_BY_SIDE else f"{model}: {part}", loc="left")


def scale(values: pd.Series) -> Normalize:
    """Return a colour scale to 1 from 0, or from the lowest value if negative."""
    return Normalize(min(0.0, float(values.min())), 1)


def show(ax: Axes, values: pd.DataFrame, norm: Normalize) -> None:
    """Draw a square table of values, first row at the bottom; cells without a value are grey."""
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
    """Add the colour bar of all maps, to their right."""
    shades = ScalarMappable(norm, COLOURS)
    figure.colorbar(shades, ax=list(axes), label=label, fraction=0.03, pad=0.01, aspect=40)


def marks(ax: Axes, values: pd.DataFrame, within: pd.DataFrame, norm: Normalize) -> None:
    """Hatch cells within their null. within: share of layers within theirs, 0 to 1."""
    _hatching.hatch(ax, values, within.astype("float64") >= HALF, norm)


def key(figure: Figure, table: pd.DataFrame, metric: str) -> None:
    """Add a legend for the hatching, where nulls are known, and the width of intervals."""
    known = select.correct(table, f"{metric}{WITHIN}")["value"].notna().any()
    widths = select.correct(table, f"{metric}{HALF_WIDTH}")["value"]
    widths = widths[widths > 0]  # 0 for a layer with itself
    title = "95 % intervals of single layers are unknown"
    if len(widths):
        spread = f"± {widths.median():.2g} (median over cells), at most ± {widths.max():.2g}"
        title = f"95 % intervals of single layers: about {spread}"
    _hatching.key(figure, title, marked=bool(known))
