"""Benchmark scores of the study's checkpoints, as a table."""

import json
from pathlib import Path

import pandas as pd

from tending.core import tables
from tending.run.job import running
from tending.stages.evaluations import evaluations
from tending.stages.evaluations.evaluation_table import evaluations as scores_table


def main(
    asked: str, convergence: Path, training_steps: dict[str, int], csv: Path, parquet: Path
) -> None:
    study, models, entries = json.loads(asked)
    scores = evaluations.read(study, models, entries)
    if scores.problems:
        raise ValueError("\n".join(scores.problems))
    sizes = pd.read_parquet(convergence, columns=["model", "parameters"]).drop_duplicates("model")
    parameters = dict(zip(sizes["model"], sizes["parameters"], strict=True))
    tables.write(scores_table(scores, study, parameters, training_steps), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            snakemake.params.asked,
            Path(snakemake.input.convergence),
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
