"""The style shared by all figures, and saving figures to files."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec

import matplotlib.style
from matplotlib import colormaps
from matplotlib.colors import Colormap, ListedColormap, to_hex
from matplotlib.figure import Figure

from tending.core.atomic import replacing

P = ParamSpec("P")

TWO_COLUMNS, LEAST_HEIGHT, PAGE_HEIGHT = 7.1, 2.7, 9.2  # inches
DPI = 200
FAINT = "0.65"
RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same figure on every machine
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "axes.titlepad": 4,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.width": 0.4,
    "xtick.minor.size": 1.5,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "hatch.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.2,
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.05,
    "figure.dpi": DPI,
    "pdf.fonttype": 42,  # editable text; journals refuse Type 3
}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
_DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 1.5)),
    (0, (6, 1.2, 1.2, 1.2)),
    (0, (1.5, 1)),
    (0, (3, 1, 1, 1, 1, 1)),
)


class Look(NamedTuple):
    """Style of one model in every figure; never distinguished by colour alone."""

    colour: str
    marker: str
    dashes: Any


def look() -> AbstractContextManager[None]:
    """Apply matplotlib's defaults and this module's settings, ignoring the user's matplotlibrc."""
    return matplotlib.style.context(["default", RC])


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate `draw` to run under `look`."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with look():
            return draw(*args, **kwargs)

    return drawn


def model_looks(models: Sequence[str]) -> dict[str, Look]:
    """Return looks of `models` in their order (smallest first): dark to light, markers, dashes."""
    map_ = colormaps["viridis"]
    last = max(len(models) - 1, 1)
    return {
        # the light end of viridis is too faint for a line on white
        model: Look(
            to_hex(map_(0.78 * i / last)),
            _MARKERS[i % len(_MARKERS)],
            _DASHES[i % len(_DASHES)],
        )
        for i, model in enumerate(models)
    }


def depth_colours() -> Colormap:
    """Return colours of relative depth in [0, 1], first layer to last; legible lines on white."""
    map_ = colormaps["plasma"]
    return ListedColormap([map_(0.88 * i / 255) for i in range(256)], name="depth")


def save(figure: Figure, pdf: Path, png: Path) -> None:
    """Write a figure as PDF and PNG (200 dpi); the same figure gives the same bytes."""
    with look():
        figure.draw_without_rendering()
        # otherwise each save would redo the layout, starting from the previous one
        figure.set_layout_engine("none")
        _write(figure, pdf, "pdf", {"CreationDate": None})
        _write(figure, png, "png", {"Software": None})


def _write(figure: Figure, path: Path, kind: str, metadata: dict[str, Any]) -> None:
    with replacing(path) as partial:
        figure.savefig(partial, format=kind, dpi=DPI, metadata=metadata)
