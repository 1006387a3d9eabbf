"""When every layer settles, and how far that depends on the sequences."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tending.core import store
from tending.core import tables as tidy
from tending.core.progress import progress
from tending.stages.convergence import stabilisation_rows
from tending.stages.convergence.early_scores import EarlyScores
from tending.stages.convergence.stabilisation_intervals import Resamples

TITLE = "stabilisation"
FILES = ("scores",)
TABLES = ("convergence",)
SETTINGS = ("similarity", "similarity_components", "thresholds", "early", "training_steps")


def table(
    scores: Sequence[Path],
    tables: Mapping[str, pd.DataFrame],
    similarity: Sequence[str],
    thresholds: Sequence[float],
    early: float,
    training_steps: Mapping[str, int],
    similarity_components: Mapping[str, list[str]] | None = None,
) -> pd.DataFrame:
    """Brackets of stabilisation, their intervals over resampled sequences, and early scores.

    scores: files in ascending steps of each model. similarity_components: the components of a
    metric that is not taken of all.
    """
    settled = stabilisation_rows.stabilisation(
        tables["convergence"], similarity, thresholds, early, training_steps
    )
    resamples = Resamples(similarity, thresholds, similarity_components)
    early_scores = EarlyScores(similarity, early, training_steps, similarity_components)
    with progress(len(scores), "files") as advance:
        for path in scores:
            read = store.read_scores(path)
            resamples.add(read)
            early_scores.add(read)
            advance()
    resampled = [*resamples.blocks(early, training_steps), *early_scores.blocks()]
    return pd.concat([settled, tidy.table(resampled)], ignore_index=True)
