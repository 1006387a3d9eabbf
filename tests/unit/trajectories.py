"""Trajectories that models might have, as files' contents and as tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tending.core import plugins, tables
from tending.metrics.trajectory._intervals import with_errors, with_null
from tending.run.config import TRAJECTORY
from tending.stages.trajectory import trajectory_tables
from tending.stages.trajectory.trajectory_files import Trajectory

DIRECTIONS = 10
Values = npt.NDArray[np.float64]
Sizes = Mapping[str, tuple[int, int]]  # model -> parameters, layers


def fabricate(
    sizes: Sizes, steps: Sequence[int], components: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """The table and the maps of a study whose checkpoints are the less alike the further apart."""
    made = [
        fabricated(name, parameters, layers, steps, components)
        for name, (parameters, layers) in sizes.items()
    ]
    loaded = {
        n: plugins.load(TRAJECTORY, n, "trajectory metric").METRIC
        for n in plugins.names(TRAJECTORY)
    }
    blocks = [
        block
        for one in made
        for block in trajectory_tables.blocks(
            one, loaded, dict.fromkeys(sizes, steps[-1]), steps[-1]
        )
    ]
    return {
        "trajectory": tables.table(blocks),
        **trajectory_tables.maps("checkpoint_map", made),
        **trajectory_tables.maps("layer_map", made),
    }


def fabricated(
    model: str, parameters: int, layers: int, steps: Sequence[int], components: Sequence[str]
) -> Trajectory:
    """One model's; later layers move more slowly, and one value of a map is missing."""
    at = np.log1p(steps) / np.log1p(steps[-1])
    distance = np.abs(at[:, None] - at[None, :])
    measured = {}
    for i, component in enumerate(components):
        depth = np.arange(layers)[:, None, None] / max(layers - 1, 1)
        map_ = np.exp(-distance * (2 + i + depth))
        drift = np.array([[np.nan, *np.diagonal(one, offset=1)] for one in map_])
        for measure, off in (("cka", 0.1), ("cka_debiased", 0.0)):
            for name, values in (("checkpoint_map", map_), ("drift", drift)):
                parts = with_sampling(measure, off + (1 - off) * values, off)
                measured |= {f"{name}/{part}/{component}": v for part, v in parts.items()}
        overlap = with_sampling("overlap", map_**2, DIRECTIONS / 511)
        measured |= {f"subspace_overlap/{part}/{component}": v for part, v in overlap.items()}
        measured[f"subspace_overlap/chance/{component}"] = np.full(layers, DIRECTIONS / 511)
    pairs = tuple((component, layer) for component in components for layer in range(layers))
    index = np.arange(len(pairs))
    one = np.exp(-np.abs(index[:, None] - index[None, :]) / 3)
    one[0, -1] = one[-1, 0] = np.nan if len(pairs) > 1 else 1
    for measure, off in (("cka", 0.1), ("cka_debiased", 0.0)):
        parts = with_sampling(measure, np.stack([one] * len(steps)), off)
        measured |= {f"layer_map/{part}": values for part, values in parts.items()}
    return Trajectory(measured, tuple(steps), pairs, 512, _attributes(model, parameters))


def with_sampling(name: str, values: Values, null: float) -> dict[str, Values]:
    """A score with an error that shrinks towards 1, its interval and its null."""
    error = 0.05 * (1 - values)
    variance, known = error**2, np.where(np.isnan(values), np.nan, 0)
    scores = with_errors(name, values, variance, 100.0, (None, 1.0))
    return scores | with_null(name, null + known, null + 0.08 + known)


def _attributes(model: str, parameters: int) -> dict[str, object]:
    return {"study": "fabricated", "model": model, "parameters": parameters}
