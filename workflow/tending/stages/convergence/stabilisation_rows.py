"""Rows of the stabilisation table: when a score reaches a threshold for good."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tending.core.tables import WHOLE, Columns, table
from tending.metrics.statistics.stabilisation import Bracket, settles


def fraction_quantity(metric: str, threshold: float) -> str:
    """Name the fraction of training after which `metric` stays at or above `threshold`."""
    return f"{metric}_stabilisation_fraction_{threshold:g}"


def step_quantity(metric: str, threshold: float) -> str:
    """Name the training step after which `metric` stays at or above `threshold`."""
    return f"{metric}_stabilisation_step_{threshold:g}"


def share_quantity(metric: str, threshold: float) -> str:
    """Name the share of layers that have settled within the early part of training."""
    return f"{metric}_settled_share_{threshold:g}"


def stabilisation(
    convergence: pd.DataFrame,
    metrics: Sequence[str],
    thresholds: Sequence[float],
    early: float,
    training_steps: Mapping[str, int],
) -> pd.DataFrame:
    """Tabulate settling brackets per layer and head, and their summary over whole layers.

    convergence: the table of scores. early: fraction of training called early. A layer that never
    settles has no value. See docs/tables.md for the quantities.
    """
    blocks: list[Columns] = []
    scored = convergence[convergence["quantity"].isin(metrics)]
    keys = ["model", "component", "quantity", "definition"]
    for key, group in scored.groupby(keys, sort=False):
        model, component, metric, definition = map(str, key)
        first = group.iloc[0]
        common = {
            "study": first["study"],
            "model": model,
            "parameters": first["parameters"],
            "component": component,
            "definition": definition,
        }
        for threshold in thresholds:
            blocks += _stabilisation_blocks(
                group, common, metric, threshold, early, training_steps[model]
            )
    return table(blocks)


def _stabilisation_blocks(
    group: pd.DataFrame,
    common: dict[str, Any],
    metric: str,
    threshold: float,
    early: float,
    training_steps: int,
) -> list[Columns]:
    wide = _trajectories(group)
    steps = [int(step) for step in wide.columns]
    brackets = [settles(steps, row, threshold) for row in wide.to_numpy(dtype=float)]
    layer = wide.index.get_level_values("layer")
    head = wide.index.get_level_values("head")
    whole = [b for b, h in zip(brackets, head, strict=True) if h == WHOLE]
    units = (
        (fraction_quantity(metric, threshold), training_steps),
        (step_quantity(metric, threshold), 1),
    )
    own: list[Columns] = [
        {
            **common,
            "layer": _or_missing(layer),
            "head": _or_missing(head),
            "quantity": quantity,
            **_bounds(brackets, unit),
            "n": len(steps),
        }
        for quantity, unit in units
    ]
    if (layer == WHOLE).all():
        return own  # the model has it once, so there are no layers to summarise
    medians: list[Columns] = [
        {**common, "quantity": quantity, "n": [len(whole)], **_median(whole, unit)}
        for quantity, unit in units
    ]
    share = {
        **common,
        "quantity": share_quantity(metric, threshold),
        "n": [len(whole)],
        **_share(whole, early * training_steps),
    }
    return [*own, *medians, share]


def _or_missing(index: Iterable[int]) -> pd.api.extensions.ExtensionArray:
    """Convert layers or heads to Int64 with NA for WHOLE."""
    return pd.array([pd.NA if i == WHOLE else i for i in index], dtype="Int64")


def _trajectories(group: pd.DataFrame) -> pd.DataFrame:
    """Pivot scores to (layer, head) x step, all ascending."""
    keyed = group.assign(**{part: group[part].fillna(WHOLE) for part in ("layer", "head")})
    return keyed.set_index(["layer", "head", "step"])["value"].unstack("step").sort_index()


def _bounds(brackets: list[Bracket], unit: int) -> dict[str, npt.NDArray[np.float64]]:
    low = np.array([np.nan if b.low is None else b.low / unit for b in brackets])
    high = np.array([np.nan if b.high is None else b.high / unit for b in brackets])
    return {"value": high, "low": low, "high": high}


def _median(brackets: list[Bracket], unit: int) -> dict[str, float]:
    """Compute medians over layers; one that never settles counts as later than all that do."""
    ends = {}
    for name, values in _bounds(brackets, unit).items():
        median = float(np.median(np.where(np.isnan(values), np.inf, values)))
        ends[name] = median if np.isfinite(median) else float("nan")
    return ends


def _share(brackets: list[Bracket], limit: float) -> dict[str, float]:
    """Compute the share settled by `limit`: certainly (value, low) and possibly (high)."""
    certain = np.mean([b.high is not None and b.high <= limit for b in brackets])
    possible = np.mean([b.low is not None and b.low < limit for b in brackets])
    return {"value": float(certain), "low": float(certain), "high": float(max(certain, possible))}
