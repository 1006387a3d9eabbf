"""Late degradation of models, as a section of the summary."""

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from tending.figures import Options
from tending.figures import _select as select
from tending.metrics.statistics.late_phase import LEVEL
from tending.stages.synthesis.late_phase_rows import (
    best_p_quantity,
    best_step_quantity,
    rise_p_quantity,
    rise_quantity,
)

OUTCOME = "held_out_loss"


def late_phase(table: pd.DataFrame, options: Options, outcome: str = OUTCOME) -> pd.DataFrame:
    """Return one row per model, smallest first, for an outcome in the table `late_phase`.

    Columns: model, best and last (steps), among_best (steps that are not significantly worse than
    the best), rise, low, high, p, and verdict, in words. NaN and an empty list where degradation
    is not assessed.
    """
    rows = {
        name: select.correct(table, quantity(outcome)).astype({"model": str})
        for name, quantity in {
            "best": best_step_quantity,
            "rise": rise_quantity,
            "p": rise_p_quantity,
            "best_p": best_p_quantity,
        }.items()
    }
    found = []
    for model in select.every_model(rows["rise"], options):
        own = {name: part[part["model"] == model] for name, part in rows.items()}
        steps = own["best_p"].sort_values("step")
        among = steps.loc[steps["value"] > LEVEL, "step"]
        row: dict[str, Any] = {
            "model": model,
            "best": int(own["best"]["value"].iloc[0]),
            "last": int(steps["step"].iloc[-1]),
            "among_best": [int(step) for step in among],
            "rise": own["rise"]["value"].iloc[0],
            **{end: own["rise"][end].iloc[0] for end in ("low", "high")},
            "p": own["p"]["value"].iloc[0],
        }
        found.append({**row, "verdict": _verdict(row)})
    return pd.DataFrame(found)


def _verdict(row: Mapping[str, Any]) -> str:
    if pd.isna(row["p"]):
        return "not assessed"
    if row["p"] <= LEVEL:
        return "lost ground: worse at the end than at its best"
    if row["among_best"] == [row["last"]]:
        return "no rise: the last checkpoint is better than every other"
    if row["best"] == row["last"]:
        return "no rise: the last checkpoint is the best seen, others may be as good"
    return "no rise beyond chance: the last checkpoint may be as good as the best"


def late_html(table: pd.DataFrame, options: Options) -> str:
    """Render the section: heading, table and explanation; empty without a held-out loss."""
    if select.correct(table, rise_quantity(OUTCOME)).empty:
        return ""
    frame = late_phase(table, options)
    names = ["model", "best step", "may be the best", "rise to the end", "p", "verdict"]
    header = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "\n".join(_html_row(dict(row)) for _, row in frame.iterrows())
    return (
        f"<h2>Late phase</h2>\n<p>{_found(frame)}</p>\n"
        f'<div class="wide"><table class="null">\n<thead>\n<tr>{header}</tr>\n</thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>\n<p>{_MEANING}</p>\n"
    )


def _found(frame: pd.DataFrame) -> str:
    """State in one sentence how many models lost ground."""
    judged = frame[frame["p"].notna()]
    lost = judged.loc[judged["p"] <= LEVEL, "model"]
    if judged.empty:
        return (
            "Late degradation is not assessed: it needs at least two checkpoints and two sequences."
        )
    of = f"of {len(judged)} model{'s' if len(judged) > 1 else ''}"
    if lost.empty:
        return f"None {of} is found to have lost ground between its best checkpoint and the last."
    verb = "has" if len(lost) == 1 else "have"
    return f"{len(lost)} {of} {verb} lost ground since the best checkpoint: {_names(lost)}."


def _names(models: pd.Series) -> str:
    return ", ".join(escape(str(model)) for model in models)


def _html_row(row: Mapping[str, Any]) -> str:
    among = row["among_best"]
    first, last, count = (among[0], among[-1], len(among)) if among else ("-", "-", 0)
    several = f"{count} steps, {first} to {last}" if count > 1 else f"step {first}"
    interval = "" if pd.isna(row["low"]) else f" [{_loss(row['low'])}, {_loss(row['high'])}]"
    p = "-" if pd.isna(row["p"]) else f"{row['p']:.2g}"
    cells = [f"step {row['best']}", several if among else "-", f"{_loss(row['rise'])}{interval}"]
    body = "".join(f"<td>{escape(cell)}</td>" for cell in [*cells, p, row["verdict"]])
    return f'<tr><th scope="row">{escape(row["model"])}</th>{body}</tr>'


def _loss(value: float) -> str:
    return f"{value:.4f}"


_MEANING = (
    "The rise is the held-out loss at the last checkpoint less the lowest of all checkpoints, in "
    "nats per token: 0 where the last is the best. Its 95 % interval, its p-value and the steps "
    "that may be the best (at the same level) allow for the best step having been chosen by the "
    "same losses; the rise itself is, on average, larger than the true one. p is two-sided: "
    "it is at most 0.05 where the interval does not reach 0. All are over sequences. They do not "
    "cover another seed, and changes between checkpoints, or after the last, are not seen."
)
