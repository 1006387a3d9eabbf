"""When every layer settles, as a table."""

from pathlib import Path

from tending import tables
from tending.job import running


def main(
    convergence: Path,
    metrics: list[str],
    thresholds: list[float],
    early: float,
    training_steps: dict[str, int],
    csv: Path,
    parquet: Path,
) -> None:
    scores = tables.read(convergence)
    settled = tables.stabilisation(scores, metrics, thresholds, early, training_steps)
    tables.write(settled, csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.convergence),
            list(snakemake.params.metrics),
            list(snakemake.params.thresholds),
            snakemake.params.early,
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
