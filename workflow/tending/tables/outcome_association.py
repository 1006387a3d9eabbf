"""Association of similarity, rank and gradients with loss and benchmark scores."""

from collections.abc import Mapping, Sequence

import pandas as pd

from tending.stages.synthesis.outcome_association import Asked, outcome_association

TITLE = "the association with loss and evaluations"
TABLES = ("convergence", "effective_rank")
OPTIONAL = ("loss", "evaluations", "gradients")
SETTINGS = ("spectrum", "similarity", "references")
ASKED = "outcome"


def table(
    tables: Mapping[str, pd.DataFrame],
    spectrum: Sequence[str],
    similarity: Sequence[str],
    references: Mapping[str, int],
) -> pd.DataFrame:
    """Partial correlations over the steps of models; references: reference steps."""
    return outcome_association(tables, Asked(spectrum, similarity, references))
