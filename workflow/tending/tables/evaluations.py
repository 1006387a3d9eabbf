"""Benchmark scores of the study's checkpoints."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tending.stages.evaluations import evaluations as files_of_scores
from tending.stages.evaluations.evaluation_table import evaluations as rows

TITLE = "evaluations"
FILES = ("evaluation_files",)
TABLES = ("convergence",)
SETTINGS = ("evaluations", "training_steps")
ASKED = "evaluations"


def table(
    evaluation_files: Sequence[Path],
    tables: Mapping[str, pd.DataFrame],
    evaluations: str,
    training_steps: Mapping[str, int],
) -> pd.DataFrame:
    """Rows of every score; ValueError with all problems of the files.

    evaluations: the study's entries as JSON, which name the files.
    """
    study, models, entries = json.loads(evaluations)
    scores = files_of_scores.read(study, models, entries)
    if scores.problems:
        raise ValueError("\n".join(scores.problems))
    sizes = tables["convergence"][["model", "parameters"]].drop_duplicates("model")
    parameters = dict(zip(sizes["model"], sizes["parameters"], strict=True))
    return rows(scores, study, parameters, training_steps)
