"""Trajectory metrics as rows of the tidy table, and as maps."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tending.core import plugins, tables
from tending.core.plugins import FIGURES, TRAJECTORY
from tending.metrics.trajectory import STEPS, Tabled, TrajectoryMetric
from tending.metrics.trajectory._intervals import HIGH, LOW, NULL_HIGH
from tending.stages.trajectory.trajectory_files import Trajectory

Values = npt.NDArray[np.float64]
HALF_WIDTH, WITHIN = "_half_width", "_within_null"  # suffixes of a measure's name in maps


def blocks(
    trajectory: Trajectory,
    metrics: Mapping[str, TrajectoryMetric],
    training_steps: Mapping[str, int],
    reference: int,
) -> list[tables.Columns]:
    """Return rows of the table `trajectory` for one model, from the metrics that are tabled.

    For pairs of steps, a row's step is the later one. reference: the reference step of convergence
    scores.
    """
    steps = np.array(trajectory.steps)
    progress = steps / training_steps[str(trajectory.attributes["model"])]
    at = trajectory.steps.index(reference)
    return [
        _rows(trajectory, component, quantity, progress, tabled)
        for name, metric in metrics.items()
        if metric.rows is not None
        for component in trajectory.components()
        for quantity, tabled in metric.rows(trajectory.of(name, component), progress, at).items()
    ]


def _rows(
    one: Trajectory, component: str, quantity: str, progress: Values, tabled: Tabled
) -> tables.Columns:
    """Return rows of one quantity of a component, (layers, steps), step by step."""
    layers = one.layers(component)
    ends = {"low": tabled.low, "high": tabled.high}
    return {
        **{name: one.attributes[name] for name in ("study", "model", "parameters")},
        "step": np.repeat(one.steps, len(layers)),
        "progress": np.repeat(progress, len(layers)),
        "component": component,
        "layer": pd.array(layers * len(one.steps), dtype="Int64"),
        "quantity": quantity,
        "definition": "correct",
        "value": tabled.value.T.ravel(),
        **{name: end.T.ravel() for name, end in ends.items() if end is not None},
        "n": one.rows,
    }


def maps(figure: str, trajectories: Sequence[Trajectory]) -> dict[str, pd.DataFrame]:
    """Return the maps that a figure needs: name of the metric -> its rows in all trajectories."""
    needed = plugins.constant(f"{FIGURES}.{figure}", "TABLES")
    assert isinstance(needed, tuple)
    names = [name for name in needed if name in plugins.names(TRAJECTORY)]
    made = {}
    for name in names:
        over = plugins.constant(f"{TRAJECTORY}.{name}", "OVER")
        rows = of_checkpoints if over == STEPS else of_layers
        made[name] = _joined([frame for one in trajectories for frame in rows(one, name)])
    return made


def of_checkpoints(one: Trajectory, metric: str) -> Iterator[pd.DataFrame]:
    """Yield the quantities of `_cells` for every two checkpoints, summarised over layers.

    They are medians, except for M_within_null, whose mean is the share of layers within their null.
    Columns are those of the tidy tables and `with_step`; a value is between `step` and `with_step`.
    """
    axes = {"step": one.steps, "with_step": one.steps}
    for component in one.components():
        for quantity, values in _cells(one.of(metric, component)):
            over = "mean" if quantity.endswith(WITHIN) else "median"
            yield _map(one, quantity, _over_layers(values, over), axes, component=component)


def of_layers(one: Trajectory, metric: str) -> Iterator[pd.DataFrame]:
    """Yield the quantities of `_cells` for every two layers at the first, middle and last step.

    Columns are those of the tidy tables, `with_component` and `with_layer`.
    """
    index = range(len(one.pairs))
    for quantity, values in _cells(one.of(metric)):
        for at in shown(one.steps):
            axes = {"": index, "with_": index}
            frame = _map(one, quantity, values[at], axes, step=one.steps[at])
            for prefix in ("", "with_"):
                places = [one.pairs[i] for i in frame.pop(prefix)]
                frame[f"{prefix}component"] = [component for component, _ in places]
                frame[f"{prefix}layer"] = pd.array([layer for _, layer in places], dtype="Int64")
            yield frame


def _cells(measured: Mapping[str, Values]) -> Iterator[tuple[str, Values]]:
    """Yield each measure M, M_half_width and M_within_null.

    M_half_width: half the width of its 95 % interval. M_within_null: 1 if M is not above its null's
    95 % quantile, otherwise 0; NaN where either is unknown.
    """
    for name in [name for name in measured if f"{name}{LOW}" in measured]:
        value, limit = measured[name], measured[f"{name}{NULL_HIGH}"]
        yield name, value
        yield f"{name}{HALF_WIDTH}", (measured[f"{name}{HIGH}"] - measured[f"{name}{LOW}"]) / 2
        known = np.isfinite(value) & np.isfinite(limit)
        yield f"{name}{WITHIN}", np.where(known, value <= limit, np.nan)


def shown(steps: Sequence[int]) -> list[int]:
    """Return indices of the first, the middle (the lower of two) and the last of some steps."""
    return sorted({0, (len(steps) - 1) // 2, len(steps) - 1})


def _over_layers(values: Values, over: str) -> Values:
    """Reduce (layers, m, m) to (m, m) by mean or median, ignoring layers without a value."""
    flat = pd.DataFrame(values.reshape(len(values), -1)).agg(over)
    return np.asarray(flat, dtype=np.float64).reshape(values.shape[1:])


def _map(
    one: Trajectory,
    quantity: str,
    values: Values,
    axes: Mapping[str, Sequence[int]],
    **constant: object,
) -> pd.DataFrame:
    grid = np.meshgrid(*axes.values(), indexing="ij")
    described = {name: one.attributes[name] for name in ("study", "model", "parameters")}
    columns = {name: index.ravel() for name, index in zip(axes, grid, strict=True)}
    return pd.DataFrame(
        {
            **columns,
            **described,
            **constant,
            "quantity": quantity,
            "definition": "correct",
            "value": values.ravel(),
            "n": one.rows,
        }
    )


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    joined = pd.concat(frames, ignore_index=True)
    others = [column for column in joined.columns if column not in tables.COLUMNS]
    joined = joined.reindex(columns=[*tables.COLUMNS, *others])
    return joined.astype({"value": "float64"}).astype(tables.TYPES)
