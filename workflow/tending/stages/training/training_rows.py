"""Rows of the table of training logs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tending.core.tables import Columns


def training_blocks(
    study: str, manifest: Mapping[str, Any], log: pd.DataFrame, training_steps: int
) -> list[Columns]:
    """Return rows of a training log, one quantity per column except `step`."""
    common = {
        "study": study,
        "model": manifest["model"],
        "parameters": manifest["parameters"],
        "step": log["step"],
        "progress": log["step"] / training_steps,
        "definition": "correct",
    }
    quantities = [column for column in log.columns if column != "step"]
    return [{**common, "quantity": name, "value": log[name].astype(float)} for name in quantities]
