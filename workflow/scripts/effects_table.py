"""The effects of size and learning rate on when layers settle, as a table."""

from pathlib import Path

from tending.core import tables
from tending.run.job import running
from tending.stages.synthesis.effects import effects


def main(
    stabilisation: Path,
    metrics: list[str],
    thresholds: list[float],
    rates: dict[str, float],
    csv: Path,
    parquet: Path,
) -> None:
    blocks = effects(tables.read(stabilisation), metrics, thresholds, rates)
    tables.write(tables.table(blocks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.stabilisation),
            list(snakemake.params.metrics),
            list(snakemake.params.thresholds),
            snakemake.params.rates,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
