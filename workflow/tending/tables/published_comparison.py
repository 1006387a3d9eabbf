"""The published medians beside the study's own."""

from collections.abc import Mapping, Sequence

import pandas as pd

from tending.stages.synthesis.published_comparison import comparison

TITLE = "the published medians beside this study's"
TABLES = ("convergence", "effective_rank")
SETTINGS = ("published_as", "definitions", "published_values")
ASKED = "published_as"


def table(
    tables: Mapping[str, pd.DataFrame],
    published_as: Mapping[str, str],
    definitions: Sequence[str],
    published_values: str = "",
) -> pd.DataFrame:
    """Rows of every published median; published_values: hash of their file."""
    scores = tables["convergence"], tables["effective_rank"]
    return comparison(*scores, dict(published_as), list(definitions))
