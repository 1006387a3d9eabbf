"""Effects of model size and learning rate on when layers settle."""

from collections.abc import Mapping, Sequence

import pandas as pd

from tending.core import tables as tidy
from tending.stages.synthesis.effects import effects

TITLE = "the effects of size and learning rate"
TABLES = ("stabilisation",)
SETTINGS = ("similarity", "thresholds", "learning_rates")
ASKED = "several_models"


def table(
    tables: Mapping[str, pd.DataFrame],
    similarity: Sequence[str],
    thresholds: Sequence[float],
    learning_rates: Mapping[str, float],
) -> pd.DataFrame:
    """Slopes over models; learning_rates: of the models where it is known."""
    blocks = effects(tables["stabilisation"], similarity, thresholds, learning_rates)
    return tidy.table(blocks)
