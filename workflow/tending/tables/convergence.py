"""Similarity of every checkpoint's activations with those of the reference step."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tending.core import store, tables
from tending.core.progress import progress
from tending.stages.convergence import component_filter
from tending.stages.convergence.score_rows import score_blocks

TITLE = "convergence scores"
FILES = ("scores",)
SETTINGS = ("similarity", "similarity_components", "training_steps")


def table(
    scores: Sequence[Path],
    similarity: Sequence[str],
    training_steps: Mapping[str, int],
    similarity_components: Mapping[str, list[str]] | None = None,
) -> pd.DataFrame:
    """Rows of every metric's estimates.

    similarity_components: the components of a metric that is not taken of all.
    """
    only = similarity_components or {}
    blocks: list[tables.Columns] = []
    with progress(len(scores), "files") as advance:
        for path in scores:
            read = store.read_scores(path, draws=False)
            place = tables.where(read.attributes, training_steps)
            rows = int(read.attributes["rows"])
            blocks += [
                block
                for metric in similarity
                for component, estimates in read.metrics[metric].items()
                if component_filter.taken(only, metric, component)
                for block in score_blocks(place, component, metric, estimates, rows)
            ]
            advance()
    return tables.table(blocks)
