"""Scores of all models on the first n sequences, as a table."""

from pathlib import Path

import pandas as pd

from tending.core import tables
from tending.run.job import running


def main(rows: list[Path], csv: Path, parquet: Path) -> None:
    tables.write(pd.concat(map(tables.read, rows), ignore_index=True), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.rows],
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
