"""Divergence of all checkpoints' predictions from those of their model's reference step."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tending.core import store, tables
from tending.core.progress import progress
from tending.stages.divergence import divergence_rows

TITLE = "divergences"
FILES = ("divergences",)
SETTINGS = ("training_steps",)
ASKED = "divergence"


def table(divergences: Sequence[Path], training_steps: Mapping[str, int]) -> pd.DataFrame:
    """Mean divergences with intervals."""
    blocks: list[tables.Columns] = []
    with progress(len(divergences), "files") as advance:
        for path in divergences:
            read = store.read_arrays(path)
            place = tables.where(read.attributes, training_steps)
            blocks += divergence_rows.blocks(place, read.arrays)
            advance()
    return tables.table(blocks)
