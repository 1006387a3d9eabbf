"""The association of similarity, rank and gradients with loss and scores, as a table."""

from pathlib import Path

from tending.core import tables
from tending.run.job import running
from tending.stages.synthesis.outcome_association import Asked, outcome_association


def main(parquets: list[Path], asked: Asked, csv: Path, parquet: Path) -> None:
    read = {path.stem: tables.read(path) for path in parquets}
    tables.write(outcome_association(read, asked), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.tables],
            Asked(
                list(snakemake.params.rank_metrics),
                list(snakemake.params.metrics),
                snakemake.params.references,
            ),
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
