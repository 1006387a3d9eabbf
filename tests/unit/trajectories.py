"""Trajectories that models might have, as files' contents and as tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tending import found, tables, trajectory_tables
from tending.config import TRAJECTORY
from tending.trajectory_files import Trajectory

DIRECTIONS = 10
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
        n: found.load(TRAJECTORY, n, "trajectory metric").METRIC for n in found.names(TRAJECTORY)
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
            measured[f"checkpoint_map/{measure}/{component}"] = off + (1 - off) * map_
            measured[f"drift/{measure}/{component}"] = off + (1 - off) * drift
        measured[f"subspace_overlap/overlap/{component}"] = map_**2
        measured[f"subspace_overlap/chance/{component}"] = np.full(layers, DIRECTIONS / 511)
    pairs = tuple((component, layer) for component in components for layer in range(layers))
    index = np.arange(len(pairs))
    one = np.exp(-np.abs(index[:, None] - index[None, :]) / 3)
    one[0, -1] = one[-1, 0] = np.nan if len(pairs) > 1 else 1
    for measure in ("cka", "cka_debiased"):
        measured[f"layer_map/{measure}"] = np.stack([one] * len(steps))
    return Trajectory(measured, tuple(steps), pairs, 512, _attributes(model, parameters))


def _attributes(model: str, parameters: int) -> dict[str, object]:
    return {"study": "fabricated", "model": model, "parameters": parameters}
