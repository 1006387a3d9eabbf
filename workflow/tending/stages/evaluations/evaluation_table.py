"""Benchmark scores of checkpoints as a table."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from tending.core.tables import NORMAL_95, table
from tending.stages.evaluations.evaluations import Scores, quantity


def error_quantity(name: str) -> str:
    """Name the standard error of a score, where its file gives one."""
    return f"{name}_standard_error"


def direction_quantity(name: str) -> str:
    """Name the direction of a score: 1 if higher is better, 0 if lower is."""
    return f"{name}_higher_is_better"


def evaluations(
    scores: Scores, study: str, parameters: Mapping[str, int], training_steps: Mapping[str, int]
) -> pd.DataFrame:
    """Tabulate every score with its 95 % interval and standard error, by task and metric.

    parameters: number of parameters by model, in the order of the rows. Intervals are +- 1.96
    standard errors as given in the file; there is none for an error of 0, which occurs when samples
    are all wrong or all right and does not make the score certain. See docs/tables.md.
    """
    order = {model: i for i, model in enumerate(parameters)}
    rows: list[dict[str, Any]] = []
    tasks = dict.fromkeys(key[2:] for key in scores.found)
    directions = scores.directions()
    for task, metric in tasks:
        name = quantity(task, metric)
        if (task, metric) in directions:
            better = float(directions[task, metric])
            rows.append({"quantity": direction_quantity(name), "value": better})
        own = [key for key in scores.found if key[2:] == (task, metric)]
        for key in sorted(own, key=lambda k: (order[k[0]], k[1])):
            score, (model, step) = scores.found[key], key[:2]
            half = NORMAL_95 * score.error if score.error > 0 else math.nan
            place = {"model": model, "parameters": parameters[model], "step": step, "n": score.n}
            place["progress"] = step / training_steps[model]
            ends = {"value": score.value, "low": score.value - half, "high": score.value + half}
            rows.append({**place, "quantity": name, **ends})
            if not math.isnan(score.error):
                rows.append({**place, "quantity": error_quantity(name), "value": score.error})
    columns = ("model", "parameters", "step", "progress", "quantity", "value", "low", "high", "n")
    block = {name: [row.get(name) for row in rows] for name in columns}
    return table([{"study": study, "definition": "correct", **block}] if rows else [])
