"""The association of rank and convergence, as a table."""

from pathlib import Path

from tending.core import tables
from tending.run.job import running
from tending.stages.synthesis.association_table import Asked, association


def main(parquets: list[Path], asked: Asked, csv: Path, parquet: Path) -> None:
    read = {path.stem: tables.read(path) for path in parquets}
    tables.write(association(read, asked), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.tables],
            Asked(
                list(snakemake.params.rank_metrics),
                list(snakemake.params.metrics),
                list(snakemake.params.thresholds),
                list(snakemake.params.progress),
                snakemake.params.references,
            ),
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
