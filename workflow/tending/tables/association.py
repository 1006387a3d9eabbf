"""Association of the rank of layers' weights with their convergence."""

from collections.abc import Mapping, Sequence

import pandas as pd

from tending.stages.synthesis.association_table import Asked, association

TITLE = "the association of rank and convergence"
TABLES = ("effective_rank", "convergence", "stabilisation")
SETTINGS = ("spectrum", "similarity", "thresholds", "progress", "references")


def table(
    tables: Mapping[str, pd.DataFrame],
    spectrum: Sequence[str],
    similarity: Sequence[str],
    thresholds: Sequence[float],
    progress: Sequence[float],
    references: Mapping[str, int],
) -> pd.DataFrame:
    """Rank correlations within models and pooled over them; references: reference steps."""
    return association(tables, Asked(spectrum, similarity, thresholds, progress, references))
