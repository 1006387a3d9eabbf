"""Every model's held-out loss from its best step to the last."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tending.core import store, tables
from tending.core.arrays import Array
from tending.core.progress import progress
from tending.metrics.statistics import late_phase
from tending.stages.synthesis import late_phase_rows

TITLE = "the late phase"
FILES = ("activations",)
SETTINGS = ("training_steps",)


def table(activations: Sequence[Path], training_steps: Mapping[str, int]) -> pd.DataFrame:
    """Rows of every model's late rise.

    activations: files of all models and steps; those without losses have no rows.
    """
    places: dict[str, tables.Where] = {}
    losses: dict[str, dict[int, Array]] = {}
    with progress(len(activations), "files") as advance:
        for path in activations:
            with store.Reader(path) as file:
                if store.LOSS in file.shapes:
                    place = tables.where(file.attributes, training_steps)
                    places[place.model] = place
                    losses.setdefault(place.model, {})[place.step] = file.vector(store.LOSS)
            advance()
    blocks: list[tables.Columns] = []
    for model, own in losses.items():
        late = late_phase.of_losses(list(own), np.stack(list(own.values())))
        whole = {k: v for k, v in vars(places[model]).items() if k not in ("step", "progress")}
        n = next(iter(own.values())).size
        blocks += late_phase_rows.blocks(whole, store.LOSS, late, training_steps[model], n)
    return tables.table(blocks)
