"""Held-out loss, and divergence from the reference, against step, with the best step marked."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import FAINT, Look, model_looks, styled
from tending.stages.synthesis.late_phase_rows import best_step_quantity, change_quantity

TABLES = ("loss", "late_phase")
OPTIONAL = ("divergence",)
TITLE = "Loss and divergence by step"
CATEGORY = "Training"

_LOSS, _KL = "held_out_loss", "kl_to_reference"
_LATE = 0.5  # fraction of training at which the right column starts, unless a best step is earlier
_LEAST = 3  # fewest checkpoints per model in the right column, if it has so many
_HEIGHT = 1.95

Looks = Mapping[str, Look]


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Draw the whole training run (left) and its end (right), with loss minus its last value."""
    loss, late = select.correct(tables["loss"], _LOSS), tables["late_phase"]
    kl = select.correct(tables["divergence"], _KL) if "divergence" in tables else loss[:0]
    shown = [rows for rows in (loss, kl) if not rows.empty]
    if not shown:
        raise ValueError("nothing to draw: no table holds a held-out loss or a divergence")
    both = pd.concat(shown)
    looks = model_looks(select.models(both, options))
    best = select.correct(late, best_step_quantity(_LOSS)).set_index("model")["value"]
    begin = _begin(both[both["model"].isin(list(looks))], best)
    figure, axes = _panels.grid(len(shown), 2, _HEIGHT, 0.75, sharex="col")
    rows = iter(axes)
    if not loss.empty:
        whole, end = next(rows)
        _lines(whole, loss, looks, best)
        whole.set_ylabel("held-out loss\n(nats per token)")
        _lines(end, _late(_to_end(late), begin), looks, best, by="progress")
        end.axhline(0, color=FAINT, linewidth=0.5, zorder=0)
        end.set_ylabel("loss less its last value\n(nats per token)")
    if not kl.empty:
        whole, end = next(rows)
        _lines(whole, kl, looks)
        _lines(end, _late(kl, begin), looks, by="progress")
        whole.set_ylabel("KL divergence to the\nreference step (nats)")
    _panels.step_axis(axes[-1][0], select.steps(both))
    axes[-1][1].set_xlabel("fraction of training")
    _panels.model_legend(figure, dict(looks), _note(loss, options))
    return figure


def _lines(
    ax: Axes, rows: pd.DataFrame, looks: Looks, best: pd.Series | None = None, by: str = "step"
) -> None:
    """Draw a line with its band per model, against `by`, with a star at its best step."""
    for i, (model, look) in enumerate(looks.items()):
        own = rows[rows["model"] == model]
        _panels.interval(ax, own.assign(step=own[by]), look, model, i)
        if best is None or model not in best.index:
            continue
        place = own[own["step"] == best[model]]
        mark: dict[str, Any] = {
            "color": look.colour,
            "markeredgecolor": "black",
            "markeredgewidth": 0.5,
        }
        ax.plot(place[by], place["value"], "*", markersize=8, zorder=4, clip_on=False, **mark)


def _to_end(late: pd.DataFrame) -> pd.DataFrame:
    """Return the loss at every step minus the last: the change to the end with reversed sign."""
    change = select.correct(late, change_quantity(_LOSS))
    ends = {"low": -change["high"], "high": -change["low"]}
    return change.assign(value=-change["value"], **ends)


def _begin(rows: pd.DataFrame, best: pd.Series) -> float:
    """Return the fraction of training at which the right column starts."""
    starts = [_LATE]
    for model, own in rows.groupby("model"):
        progress = own.drop_duplicates("step").set_index("step")["progress"].sort_index()
        starts.append(float(progress.iloc[-min(_LEAST, len(progress))]))
        if model in best.index and best[model] in progress.index:
            starts.append(float(progress[int(best[model])]))
    return min(starts)


def _late(rows: pd.DataFrame, begin: float) -> pd.DataFrame:
    return rows[rows["progress"] >= begin]


def _note(loss: pd.DataFrame, options: Options) -> str:
    if loss.empty:
        return "band: 95 % interval over sequences"
    number = select.spread(loss, options.sequences)
    return (
        f"star: step with the lowest held-out loss (n = {number} sequences)\n"
        "bands: 95 % interval over sequences; of the difference, of all steps at once"
    )
