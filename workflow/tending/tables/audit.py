"""Every weight file of a study's revisions, with the revisions that hold the same bytes."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tending.checkpoints import hub
from tending.hub import duplicate_audit

TITLE = "all revisions' weights by their hashes"
FILES = ("pins",)
SETTINGS = ("study", "hub_models", "requested_steps", "duplicates")
ASKED = "hub_models"


def table(
    pins: Sequence[Path],
    study: str,
    hub_models: Sequence[Mapping[str, Any]],
    requested_steps: Mapping[str, Sequence[int]],
    duplicates: str,
) -> pd.DataFrame:
    """Rows of every file.

    pins: the files that the commits are read from. requested_steps: the steps of every model,
    before any is left out. duplicates: the study's policy.
    """
    rows = []
    for model in hub_models:
        pinned = hub.resolved(model, study)
        last = hub.last_step(model, study)
        steps = list(requested_steps[model["name"]])
        listed = duplicate_audit.listing(model["name"], pinned, steps, last)
        mistaken = duplicate_audit.mistaken_steps(listed)
        if mistaken:
            verb = "left out" if duplicates == "drop" else "kept"
            logging.warning("%s, %s: %s", model["name"], verb, duplicate_audit.described(mistaken))
        rows += [duplicate_audit.row(study, entry, duplicates) for entry in listed]
    return duplicate_audit.table(rows)
