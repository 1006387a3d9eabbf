"""Metrics of each checkpoint's activations alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tending.core import tables
from tending.core.progress import progress
from tending.stages.representation import representation_files

TITLE = "representations"
FILES = ("representations",)
SETTINGS = ("representation", "training_steps")
ASKED = "representation"


def table(
    representations: Sequence[Path],
    representation: Sequence[str],
    training_steps: Mapping[str, int],
) -> pd.DataFrame:
    """Rows of every metric and quantity, with intervals over sequences."""
    blocks: list[tables.Columns] = []
    with progress(len(representations), "files") as advance:
        for path in representations:
            read = representation_files.read(path)
            place = tables.where(read.attributes, training_steps)
            rows = int(read.attributes["rows"])
            blocks += [
                tables.interval_block(place, component, values, quantity, rows)
                for metric in representation
                for quantity, components in read.measured[metric].items()
                for component, values in components.items()
            ]
            advance()
    return tables.table(blocks)
