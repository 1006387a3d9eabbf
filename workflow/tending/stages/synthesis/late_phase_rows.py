"""Rows of the table `late_phase`: changes of an outcome between its best step and the last."""

from collections.abc import Mapping
from typing import Any

from tending.core.tables import Columns
from tending.metrics.statistics.late_phase import LatePhase


def best_step_quantity(outcome: str) -> str:
    """Name the step with the best mean; low and high: first and last step that may be the best."""
    return f"{outcome}_best_step"


def rise_quantity(outcome: str) -> str:
    """Name the rise: by how much the last step is worse than the best one."""
    return f"{outcome}_rise"


def rise_p_quantity(outcome: str) -> str:
    """Name the p-value of "no earlier step is better than the last"."""
    return f"{rise_quantity(outcome)}_p"


def change_quantity(outcome: str) -> str:
    """Name the change to the end: the outcome at the last step minus that at a step."""
    return f"{outcome}_change_to_end"


def best_p_quantity(outcome: str) -> str:
    """Name the p-value of "no other step is better than this one"."""
    return f"{outcome}_best_p"


def blocks(
    place: Mapping[str, Any], outcome: str, late: LatePhase, training_steps: int, n: int | None
) -> list[Columns]:
    """Return rows of one model.

    place: its study, model and parameters. n: number of sequences, if known. For the trajectory:
    best step, rise and its p-value. For every step: the change from there to the end, with a band
    that is simultaneous over steps, and the p-value for being the best.
    """
    common = {**place, "definition": "correct"}
    counted = {} if n is None else {"n": n}
    among = late.among_best
    ends = {"low": among[0], "high": among[-1]} if among else {}
    at = {"step": late.steps, "progress": [step / training_steps for step in late.steps]}
    rise = {"value": late.rise, "low": late.low, "high": late.high}
    change = {"value": late.change, "low": late.change_low, "high": late.change_high}
    best = {"value": [late.best], **ends, "n": len(late.steps)}
    return [
        {**common, "quantity": best_step_quantity(outcome), **best},
        {**common, "quantity": [rise_quantity(outcome)], **rise, **counted},
        {**common, "quantity": [rise_p_quantity(outcome)], "value": late.p, **counted},
        {**common, **at, "quantity": change_quantity(outcome), **change, **counted},
        {**common, **at, "quantity": best_p_quantity(outcome), "value": late.best_p, **counted},
    ]
