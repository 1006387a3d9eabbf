"""Late degradation: rise of the loss from each model's best checkpoint to the last, by size."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import FAINT, Look, model_looks, styled
from tending.metrics.statistics.late_phase import LEVEL
from tending.stages.synthesis.late_phase_rows import rise_p_quantity, rise_quantity

TABLES = ("late_phase",)
TITLE = "Late rise of the loss by size"
CATEGORY = "Training"

_OUTCOME = "held_out_loss"
_APART = 1.1  # horizontal factor between models of one size
_LEAST = 0.01  # nats; the end of the axis if all rises are 0
_WIDTH = 5.2


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Draw a mark per model with its interval, filled where the rise differs from 0."""
    table = tables["late_phase"]
    rises = select.correct(table, rise_quantity(_OUTCOME)).set_index("model")
    if rises.empty:
        raise ValueError("nothing to draw: the table `late_phase` has no rise of a held-out loss")
    p = select.correct(table, rise_p_quantity(_OUTCOME)).set_index("model")["value"]
    labels = {m: options.groups.get(m, m) for m in select.every_model(rises.reset_index(), options)}
    looks = model_looks(list(dict.fromkeys(labels.values())))
    figure, axes = _panels.grid(1, 1, 2.3, 0.8, width=_WIDTH)
    ax = axes[0][0]
    places = _places(rises, list(labels))
    for model, value, low, high in rises[["value", "low", "high"]].itertuples(name=None):
        look, found = looks[labels[model]], bool(p[model] <= LEVEL)
        _mark(ax, places[model], (value, low, high), look, found=found)
    ax.axhline(0, color=FAINT, linewidth=0.5, zorder=0)
    top = max(_LEAST, float(np.nanmax(rises[["value", "high"]].to_numpy(dtype=float))))
    ax.set_ylim(-0.06 * top, 1.08 * top)
    ax.set_ylabel("rise of the held-out loss from the\nbest step to the last (nats per token)")
    ax.set_xlabel("parameters")
    _panels.size_axis(ax, sorted({int(size) for size in rises["parameters"]}))
    ax.set_title(_found(p), loc="left")
    _legend(figure, looks)
    return figure


def _places(rises: pd.DataFrame, models: list[str]) -> dict[str, float]:
    """Return x positions of models: their sizes, offset between models of one size."""
    sizes = rises["parameters"].to_dict()
    same: dict[int, list[str]] = {}
    for model in models:
        same.setdefault(int(sizes[model]), []).append(model)
    return {
        model: size * _APART ** (i - (len(own) - 1) / 2)
        for size, own in same.items()
        for i, model in enumerate(own)
    }


def _mark(ax: Axes, at: float, row: tuple[float, float, float], look: Look, *, found: bool) -> None:
    """Draw one model. row: the value and the ends of its interval, NaN where there is none."""
    value, low, high = row
    ax.errorbar(
        at,
        value,
        yerr=np.nan_to_num([[value - low], [high - value]]),
        fmt=look.marker,
        color=look.colour,
        markerfacecolor=look.colour if found else "white",
        markersize=5,
        capsize=2,
        elinewidth=0.9,
        clip_on=False,
        zorder=3,
    )


def _found(p: pd.Series) -> str:
    judged = p.dropna()
    if judged.empty:
        return "no model can be judged"
    lost = int((judged <= LEVEL).sum())
    models = "model" if len(judged) == 1 else "models"
    return f"lost ground: {lost or 'none'} of {len(judged)} {models}"


def _legend(figure: Figure, looks: Mapping[str, Look]) -> None:
    open_: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white"}
    keys = [Line2D([], [], color=s.colour, marker=s.marker, **open_) for s in looks.values()]
    note = "filled: differs from 0; bar: 95 % interval over sequences, best step chosen by them"
    _panels.place_legend(figure, keys, list(looks), note)
