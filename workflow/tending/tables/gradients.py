"""Losses, ranks, norms and agreement of the gradients around every checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tending.core import plugins, tables
from tending.core.progress import progress
from tending.stages.gradients import gradient_file, gradient_table

TITLE = "gradients"
FILES = ("gradients",)
SETTINGS = ("spectrum", "spectrum_components", "training_steps")
METRICS = ("spectrum",)
ASKED = "gradients"


def table(
    gradients: Sequence[Path],
    spectrum: Sequence[str],
    spectrum_components: Mapping[str, list[str]],
    training_steps: Mapping[str, int],
) -> pd.DataFrame:
    """Means over batches, with intervals.

    spectrum_components: the components of a metric that is not taken of all.
    """
    metrics = {n: plugins.load(plugins.SPECTRUM, n, "spectrum metric").METRIC for n in spectrum}
    blocks: list[tables.Columns] = []
    with progress(len(gradients), "files") as advance:
        for path in gradients:
            read = gradient_file.read(path)
            place = tables.where(read.attributes, training_steps)
            blocks += gradient_table.blocks(place, read, metrics, spectrum_components)
            advance()
    return tables.table(blocks)
