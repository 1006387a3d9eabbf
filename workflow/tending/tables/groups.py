"""Means over the seeds of every group, and similarities between seeds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tending.core import tables as tidy
from tending.core.progress import progress
from tending.stages.convergence import component_filter
from tending.stages.seeds import between_seeds as pairs
from tending.stages.seeds import group_tables
from tending.stages.seeds.between_seeds_rows import between_blocks

TITLE = "groups of seeds"
FILES = ("between_seeds",)
TABLES = ("convergence", "effective_rank", "stabilisation", "loss")
SETTINGS = (
    "groups",
    "similarity",
    "similarity_components",
    "spectrum",
    "thresholds",
    "training_steps",
)
ASKED = "groups"


def table(
    between_seeds: Sequence[Path],
    tables: Mapping[str, pd.DataFrame],
    groups: Mapping[str, Sequence[str]],
    similarity: Sequence[str],
    spectrum: Sequence[str],
    thresholds: Sequence[float],
    training_steps: Mapping[str, int],
    similarity_components: Mapping[str, list[str]] | None = None,
) -> pd.DataFrame:
    """Rows of everything pooled over seeds.

    groups: models of every group. similarity_components: the components of a metric that is not
    taken of all.
    """
    blocks = group_tables.groups(
        groups,
        tables["convergence"],
        tables["effective_rank"],
        tables["stabilisation"],
        tables["loss"],
        similarity,
        spectrum,
        thresholds,
    )
    only = similarity_components or {}
    with progress(len(between_seeds), "files") as advance:
        for path in between_seeds:
            scores, attributes = pairs.read(path)
            scores = {
                metric: {c: v for c, v in own.items() if component_filter.taken(only, metric, c)}
                for metric, own in scores.items()
            }
            models = json.loads(attributes["members"])
            length = training_steps[models[0]]
            blocks += between_blocks(scores, attributes, models, similarity, length)
            advance()
    return tidy.table(blocks)
