"""All checkpoints of a model together: drift and the other quantities of trajectories."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tending.core import plugins, tables
from tending.stages.trajectory import trajectory_files, trajectory_tables

TITLE = "trajectories"
FILES = ("trajectories",)
SETTINGS = ("trajectory", "references", "training_steps")
METRICS = ("trajectory",)
ASKED = "trajectory_rows"


def table(
    trajectories: Sequence[Path],
    trajectory: Sequence[str],
    references: Mapping[str, int],
    training_steps: Mapping[str, int],
) -> pd.DataFrame:
    """Rows of the quantities that have any; references: reference steps of models."""
    kind = plugins.TRAJECTORY, "trajectory metric"
    metrics = {name: plugins.load(kind[0], name, kind[1]).METRIC for name in trajectory}
    blocks: list[tables.Columns] = []
    for path in trajectories:
        read = trajectory_files.read(path)
        reference = references[str(read.attributes["model"])]
        blocks += trajectory_tables.blocks(read, metrics, training_steps, reference)
    return tables.table(blocks)
