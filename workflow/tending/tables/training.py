"""Logs of the training runs of this workflow."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tending.core import tables
from tending.stages.training.training_rows import training_blocks

TITLE = "training logs"
FILES = ("training_logs", "training_manifests")
SETTINGS = ("study", "training_steps")


def table(
    training_logs: Sequence[Path],
    training_manifests: Sequence[Path],
    study: str,
    training_steps: Mapping[str, int],
) -> pd.DataFrame:
    """Rows of every column of every log; the manifest beside a log says whose it is."""
    blocks: list[tables.Columns] = []
    for log, manifest in zip(training_logs, training_manifests, strict=True):
        described = json.loads(manifest.read_text("utf-8"))
        length = training_steps[described["model"]]
        blocks += training_blocks(study, described, pd.read_csv(log), length)
    return tables.table(blocks)
