"""Logs of the trainings that the workflow ran, as a table."""

import json
from pathlib import Path

import pandas as pd

from tending.core import tables
from tending.run.job import running


def main(
    logs: list[Path],
    manifests: list[Path],
    study: str,
    training_steps: dict[str, int],
    csv: Path,
    parquet: Path,
) -> None:
    blocks = []
    for log, manifest in zip(logs, manifests, strict=True):
        described = json.loads(manifest.read_text("utf-8"))
        blocks += tables.training_blocks(
            study, described, pd.read_csv(log), training_steps[described["model"]]
        )
    tables.write(tables.table(blocks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.get("logs", [])],
            [Path(p) for p in snakemake.input.get("manifests", [])],
            snakemake.config["study"],
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
