"""Results as tidy, long tables: one row, one number, the same columns everywhere."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tending import atomic
from tending.stabilisation import Bracket, settles
from tending.store import part_of

TYPES = {
    "study": "string",
    "model": "string",
    "parameters": "Int64",
    "step": "Int64",
    "progress": "Float64",
    "component": "string",
    "layer": "Int64",
    "head": "Int64",
    "quantity": "string",
    "definition": "string",
    "value": "Float64",
    "low": "Float64",
    "high": "Float64",
    "n": "Int64",
}
COLUMNS = tuple(TYPES)
NORMAL_95 = 1.959963984540054  # half-width of a 95 % interval in standard errors
WHOLE = -1  # stands for "no head", or "no layer", while trajectories are told apart

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Where:
    """The checkpoint a row belongs to; progress is its step's fraction of the training."""

    study: str
    model: str
    parameters: int
    step: int
    progress: float


def where(attributes: Mapping[str, Any], training_steps: Mapping[str, int]) -> Where:
    """From a result file's attributes and the lengths of the trainings."""
    model, step = str(attributes["model"]), int(attributes["step"])
    return Where(
        study=str(attributes["study"]),
        model=model,
        parameters=int(attributes["parameters"]),
        step=step,
        progress=step / training_steps[model],
    )


def table(blocks: Iterable[Columns]) -> pd.DataFrame:
    """One table of all blocks of columns; scalars are repeated, columns left out are empty."""
    frames = [pd.DataFrame(dict(block)) for block in blocks]
    frames = [frame for frame in frames if len(frame)]
    joined = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    joined = joined.reindex(columns=list(COLUMNS))
    for column in ("value", "low", "high", "progress"):
        joined[column] = joined[column].astype("float64")  # NaN becomes a missing value below
    return joined.astype(TYPES)


def layer_block(
    place: Where, name: str, values: npt.NDArray[np.float64], quantity: str, n: int | None
) -> Columns:
    """Rows of one quantity of one dataset, (layers,) or for a per-head one (layers, heads).

    A scalar is of the whole model, and its row has no layer.
    """
    index = np.indices(values.shape)
    component, per_head, definition = part_of(name)
    return {
        **vars(place),
        "component": component,
        **({"layer": index[0].ravel()} if values.ndim else {}),
        **({"head": index[1].ravel()} if per_head else {}),
        "quantity": quantity,
        "definition": definition,
        "value": values.ravel(),
        **({} if n is None else {"n": n}),
    }


def interval_block(
    place: Where, name: str, values: npt.NDArray[np.float64], quantity: str, n: int
) -> Columns:
    """The same of a dataset whose last axis is value, low and high."""
    value, low, high = np.moveaxis(values, -1, 0)
    rows = layer_block(place, name, value, quantity, n)
    return {**rows, "low": low.ravel(), "high": high.ravel()}


def loss_blocks(place: Where, losses: npt.NDArray[np.float64]) -> list[Columns]:
    """Mean held-out loss with its 95 % interval, and its standard error over sequences."""
    n = losses.size
    mean = float(losses.mean())
    error = float(losses.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    common = {**vars(place), "definition": "correct", "n": [n]}
    return [
        {
            **common,
            "quantity": "held_out_loss",
            "value": mean,
            "low": mean - NORMAL_95 * error,
            "high": mean + NORMAL_95 * error,
        },
        {**common, "quantity": "held_out_loss_standard_error", "value": error},
    ]


def training_blocks(
    study: str, manifest: Mapping[str, Any], log: pd.DataFrame, training_steps: int
) -> list[Columns]:
    """Rows of a training log, one quantity per column besides `step`."""
    common = {
        "study": study,
        "model": manifest["model"],
        "parameters": manifest["parameters"],
        "step": log["step"],
        "progress": log["step"] / training_steps,
        "definition": "correct",
    }
    quantities = [column for column in log.columns if column != "step"]
    return [{**common, "quantity": name, "value": log[name].astype(float)} for name in quantities]


def fraction_quantity(metric: str, threshold: float) -> str:
    """Fraction of training after which `metric` stays at or above `threshold`."""
    return f"{metric}_stabilisation_fraction_{threshold:g}"


def step_quantity(metric: str, threshold: float) -> str:
    """The same in training steps."""
    return f"{metric}_stabilisation_step_{threshold:g}"


def share_quantity(metric: str, threshold: float) -> str:
    """Share of layers that have settled within the early part of training."""
    return f"{metric}_settled_share_{threshold:g}"


def stabilisation(
    convergence: pd.DataFrame,
    metrics: Sequence[str],
    thresholds: Sequence[float],
    early: float,
    training_steps: Mapping[str, int],
) -> pd.DataFrame:
    """Brackets of stabilisation per layer and head, and their summary over whole layers.

    convergence: the table of scores. early: the fraction of training called early.
    A layer that never settles has no value. See docs/tables.md for the quantities.
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
        return own  # there is one of the model, and nothing to summarise over layers
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
    """Layers or heads, where WHOLE stands for none."""
    return pd.array([pd.NA if i == WHOLE else i for i in index], dtype="Int64")


def _trajectories(group: pd.DataFrame) -> pd.DataFrame:
    """(layer, head) x step scores, ascending in all."""
    keyed = group.assign(**{part: group[part].fillna(WHOLE) for part in ("layer", "head")})
    return keyed.set_index(["layer", "head", "step"])["value"].unstack("step").sort_index()


def _bounds(brackets: list[Bracket], unit: int) -> dict[str, npt.NDArray[np.float64]]:
    low = np.array([np.nan if b.low is None else b.low / unit for b in brackets])
    high = np.array([np.nan if b.high is None else b.high / unit for b in brackets])
    return {"value": high, "low": low, "high": high}


def _median(brackets: list[Bracket], unit: int) -> dict[str, float]:
    """Median over layers; one that never settles counts as later than all that do."""
    ends = {}
    for name, values in _bounds(brackets, unit).items():
        median = float(np.median(np.where(np.isnan(values), np.inf, values)))
        ends[name] = median if np.isfinite(median) else float("nan")
    return ends


def _share(brackets: list[Bracket], limit: float) -> dict[str, float]:
    """Share settled by `limit` for certain (low), and as far as the brackets allow (high)."""
    certain = np.mean([b.high is not None and b.high <= limit for b in brackets])
    possible = np.mean([b.low is not None and b.low < limit for b in brackets])
    return {"value": float(certain), "low": float(certain), "high": float(max(certain, possible))}


def median_over_layers(frame: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles over the rows of every model, step, component and quantity.

    Returns those keys with parameters, progress, median, lower, upper and layers (the number of
    rows), sorted by parameters and step. Select whole layers or heads before.
    """
    keys = ["model", "parameters", "step", "progress", "component", "quantity"]
    grouped = frame.groupby(keys, dropna=False)["value"]
    result = grouped.agg(
        median="median",
        lower=lambda v: v.quantile(0.25),
        upper=lambda v: v.quantile(0.75),
        layers="size",
    )
    return result.reset_index().sort_values(["parameters", "model", "step"], ignore_index=True)


def write(frame: pd.DataFrame, csv: Path, parquet: Path) -> None:
    """Write a table in both formats, with the same rows and columns in the same order."""
    with atomic.replacing(csv) as partial:
        frame.to_csv(partial, index=False)
    write_parquet(frame, parquet)


def write_parquet(frame: pd.DataFrame, parquet: Path) -> None:
    """Write a part of a table, for `read`."""
    with atomic.replacing(parquet) as partial:
        frame.to_parquet(partial, index=False)


def read(parquet: Path) -> pd.DataFrame:
    """Read a table written by `write`."""
    return pd.read_parquet(parquet).astype(TYPES)
