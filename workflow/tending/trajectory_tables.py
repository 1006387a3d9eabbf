"""What was measured of all checkpoints together, as rows: of the tidy table, and of maps."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tending import found, tables
from tending.config import FIGURES, TRAJECTORY
from tending.metrics.trajectory import STEPS, TrajectoryMetric
from tending.trajectory_files import Trajectory

Values = npt.NDArray[np.float64]


def blocks(
    trajectory: Trajectory,
    metrics: Mapping[str, TrajectoryMetric],
    training_steps: Mapping[str, int],
    reference: int,
) -> list[tables.Columns]:
    """Rows of the table `trajectory` of one model: those of the metrics that have some.

    A row's step is the later one of two. reference: the step of the convergence scores.
    """
    steps = np.array(trajectory.steps)
    progress = steps / training_steps[str(trajectory.attributes["model"])]
    at = trajectory.steps.index(reference)
    return [
        _rows(trajectory, component, quantity, progress, values)
        for name, metric in metrics.items()
        if metric.rows is not None
        for component in trajectory.components()
        for quantity, values in metric.rows(trajectory.of(name, component), progress, at).items()
    ]


def _rows(
    one: Trajectory, component: str, quantity: str, progress: Values, values: Values
) -> tables.Columns:
    """Rows of one quantity of a component, (layers, steps), step by step."""
    layers = one.layers(component)
    return {
        **{name: one.attributes[name] for name in ("study", "model", "parameters")},
        "step": np.repeat(one.steps, len(layers)),
        "progress": np.repeat(progress, len(layers)),
        "component": component,
        "layer": pd.array(layers * len(one.steps), dtype="Int64"),
        "quantity": quantity,
        "definition": "correct",
        "value": values.T.ravel(),
        "n": one.rows,
    }


def maps(figure: str, trajectories: Sequence[Trajectory]) -> dict[str, pd.DataFrame]:
    """The maps a figure is drawn from: name of the metric -> its rows in all trajectories."""
    needed = found.constant(f"{FIGURES}.{figure}", "TABLES")
    assert isinstance(needed, tuple)
    names = [name for name in needed if name in found.names(TRAJECTORY)]
    made = {}
    for name in names:
        over = found.constant(f"{TRAJECTORY}.{name}", "OVER")
        rows = of_checkpoints if over == STEPS else of_layers
        made[name] = _joined([frame for one in trajectories for frame in rows(one, name)])
    return made


def of_checkpoints(one: Trajectory, metric: str) -> Iterator[pd.DataFrame]:
    """Median over layers of a value of every two checkpoints.

    The columns of the tidy tables and `with_step`: `step` has it with `with_step`.
    """
    for component in one.components():
        for measure, values in one.of(metric, component).items():
            axes = {"step": one.steps, "with_step": one.steps}
            yield _map(one, measure, _median(values), axes, component=component)


def of_layers(one: Trajectory, metric: str) -> Iterator[pd.DataFrame]:
    """A value of every two layers at the first, the middle and the last step.

    The columns of the tidy tables, `with_component` and `with_layer`.
    """
    index = range(len(one.pairs))
    for measure, values in one.of(metric).items():
        for at in shown(one.steps):
            frame = _map(one, measure, values[at], {"": index, "with_": index}, step=one.steps[at])
            for prefix in ("", "with_"):
                places = [one.pairs[i] for i in frame.pop(prefix)]
                frame[f"{prefix}component"] = [component for component, _ in places]
                frame[f"{prefix}layer"] = pd.array([layer for _, layer in places], dtype="Int64")
            yield frame


def shown(steps: Sequence[int]) -> list[int]:
    """Indices of the first, the middle (the lower of two) and the last of some steps."""
    return sorted({0, (len(steps) - 1) // 2, len(steps) - 1})


def _median(values: Values) -> Values:
    """Median over layers, (layers, m, m) -> (m, m); layers without a value do not count."""
    return np.asarray(pd.DataFrame(values.reshape(len(values), -1)).median()).reshape(
        values.shape[1:]
    )


def _map(
    one: Trajectory,
    measure: str,
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
            "quantity": measure,
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
