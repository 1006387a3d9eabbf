"""Held-out losses and perplexities of all checkpoints."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tending.core import store, tables
from tending.stages.activations import loss_rows

TITLE = "held-out losses"
FILES = ("activations",)
SETTINGS = ("training_steps",)


def table(activations: Sequence[Path], training_steps: Mapping[str, int]) -> pd.DataFrame:
    """Mean losses and perplexities with intervals; files without losses have no rows."""
    blocks: list[tables.Columns] = []
    for path in activations:
        with store.Reader(path) as file:
            if store.LOSS in file.shapes:
                place = tables.where(file.attributes, training_steps)
                losses = file.vector(store.LOSS)
                blocks += loss_rows.loss_blocks(place, losses)
                blocks += loss_rows.perplexity_blocks(place, losses)
    return tables.table(blocks)
