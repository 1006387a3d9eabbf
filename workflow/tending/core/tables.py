"""Results as tidy, long tables: one number per row, the same columns everywhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tending.core import atomic
from tending.core.store import part_of

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
WHOLE = -1  # stands for "no head", or "no layer", while rows are grouped into trajectories

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Where:
    """The checkpoint a row belongs to; progress is its step as a fraction of the training run."""

    study: str
    model: str
    parameters: int
    step: int
    progress: float


def where(attributes: Mapping[str, Any], training_steps: Mapping[str, int]) -> Where:
    """Build the `Where` of a result file from its attributes and the training runs' lengths."""
    model, step = str(attributes["model"]), int(attributes["step"])
    return Where(
        study=str(attributes["study"]),
        model=model,
        parameters=int(attributes["parameters"]),
        step=step,
        progress=step / training_steps[model],
    )


def table(blocks: Iterable[Columns]) -> pd.DataFrame:
    """Join blocks of columns into one table; scalars are repeated, missing columns are empty."""
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
    """Return rows of one quantity of one dataset, (layers,) or, per head, (layers, heads).

    A scalar belongs to the whole model, and its row has no layer.
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
    """Return such rows of a dataset whose last axis is value, low and high."""
    value, low, high = np.moveaxis(values, -1, 0)
    rows = layer_block(place, name, value, quantity, n)
    return {**rows, "low": low.ravel(), "high": high.ravel()}


def median_over_layers(frame: pd.DataFrame) -> pd.DataFrame:
    """Compute median and quartiles over the rows of every model, step, component and quantity.

    Returns those keys with parameters, progress, median, lower, upper and layers (the number of
    rows), sorted by parameters and step. Select whole layers or heads beforehand.
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
    """Write part of a table, to be read with `read`."""
    with atomic.replacing(parquet) as partial:
        frame.to_parquet(partial, index=False)


def read(parquet: Path) -> pd.DataFrame:
    """Read a table written by `write`."""
    return pd.read_parquet(parquet).astype(TYPES)
