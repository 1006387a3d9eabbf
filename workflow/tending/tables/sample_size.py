"""Scores of all models on the first n sequences."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tending.core import tables

TITLE = "scores by number of sequences"
FILES = ("sample_sizes",)
ASKED = "sample_sizes"


def table(sample_sizes: Sequence[Path]) -> pd.DataFrame:
    """The rows of all models, one file each."""
    return pd.concat(map(tables.read, sample_sizes), ignore_index=True)
