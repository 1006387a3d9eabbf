"""Loss in training and on held-out sequences, and the learning rate."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import ScalarFormatter

from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import Look, model_looks, styled

TABLES = ("training", "loss")
TITLE = "Training and held-out loss"
CATEGORY = "Training"

_BIN = 1.08  # ratio of the ends of a bin of steps, so that bins are equally wide on the axis
_WIDTH = 5.2


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Draw the loss of every model and, for models trained by the workflow, the learning rate."""
    training, loss = tables["training"], tables["loss"]
    filled = [t for t in (loss, training) if not t.empty]
    if not filled:
        raise ValueError("nothing to draw: the tables `loss` and `training` are both empty")
    both = pd.concat(filled)
    looks = model_looks(select.models(both, options))
    rates = select.correct(training, "learning_rate")
    figure, ax, below = _axes(with_rate=not rates.empty)
    for model, look in looks.items():
        own = _series(training, "training_loss", model)
        _loss(ax, own, look)
        _held_out(ax, _series(loss, "held_out_loss", model), look, joined=own.empty)
    ax.set_ylabel("loss (nats per token)")
    _panels.step_axis(ax, select.steps(both), label=below is None)
    if below is not None:
        _learning_rates(below, rates, looks)
        _panels.step_axis(below, select.steps(both))
    notes = ["line: training, mean of neighbouring steps"] if len(training) else []
    held_out = select.correct(loss, "held_out_loss")
    if len(held_out):
        number = select.spread(held_out, options.sequences)
        notes.append(f"markers: held-out, 95 % interval, n = {number} sequences")
    _legend(figure, looks, "; ".join(notes))
    return figure


def _axes(*, with_rate: bool) -> tuple[Figure, Axes, Axes | None]:
    if not with_rate:
        figure, axes = _panels.grid(1, 1, 2.6, 0.7, width=_WIDTH)
        return figure, axes[0][0], None
    figure, axes = _panels.grid(
        2, 1, 1.8, 0.7, width=_WIDTH, sharex=True, gridspec_kw={"height_ratios": [2.6, 1]}
    )
    return figure, axes[0][0], axes[1][0]


def _learning_rates(ax: Axes, rates: pd.DataFrame, looks: dict[str, Look]) -> None:
    for model, look in looks.items():
        own = rates[rates["model"] == model].sort_values("step")
        ax.plot(_at(own), own["value"], color=look.colour, linestyle=look.dashes)
    ax.set_ylabel("learning rate")
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(ScalarFormatter(useMathText=True))
    ax.ticklabel_format(axis="y", scilimits=(0, 0))


def _series(table: pd.DataFrame, quantity: str, model: str) -> pd.DataFrame:
    rows = select.correct(table, quantity)
    return rows[rows["model"] == model].sort_values("step")


def _at(rows: pd.DataFrame) -> np.ndarray:
    return rows["step"].to_numpy(dtype=float)


def _loss(ax: Axes, rows: pd.DataFrame, look: Look) -> None:
    ax.plot(_at(rows), rows["value"], color=look.colour, alpha=0.25, linewidth=0.4)
    smooth = smoothed(rows)
    ax.plot(smooth["step"], smooth["value"], color=look.colour, linestyle=look.dashes)


def smoothed(rows: pd.DataFrame) -> pd.DataFrame:
    """Average step and value in bins of equal ratio: single steps early, many steps late."""
    plain = pd.DataFrame({"step": _at(rows), "value": rows["value"].to_numpy(dtype=float)})
    bins = np.floor(np.log(np.maximum(plain["step"], 0.5)) / np.log(_BIN))
    return plain.groupby(bins).mean()


def _held_out(ax: Axes, rows: pd.DataFrame, look: Look, *, joined: bool) -> None:
    value = rows["value"].to_numpy()
    below, above = value - rows["low"].to_numpy(), rows["high"].to_numpy() - value
    ax.errorbar(
        _at(rows),
        value,
        yerr=np.nan_to_num(np.stack([below, above])),
        marker=look.marker,
        markevery=1 if len(rows) <= 40 else 0.03,
        linestyle=look.dashes if joined else "none",
        linewidth=0.7,
        color=look.colour,
        markerfacecolor="white",
        markeredgewidth=0.8,
        markersize=3.6,
        elinewidth=0.8,
        zorder=3,
    )


def _legend(figure: Figure, looks: dict[str, Look], title: str) -> None:
    keys = [
        Line2D([], [], color=s.colour, linestyle=s.dashes, marker=s.marker, markerfacecolor="white")
        for s in looks.values()
    ]
    _panels.place_legend(figure, keys, list(looks), title)
