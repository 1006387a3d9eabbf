"""When every layer settles, and how far that depends on the sequences, as a table."""

from pathlib import Path

import pandas as pd

from tending import restricted, store, tables
from tending.job import progress, running
from tending.resampled import Resamples


def main(
    convergence: Path,
    scores: list[Path],
    metrics: list[str],
    thresholds: list[float],
    early: float,
    training_steps: dict[str, int],
    csv: Path,
    parquet: Path,
    only: dict[str, list[str]] | None = None,
) -> None:
    """scores: score files, those of a model in ascending steps. only: components of a metric that
    is not taken of all.
    """
    table = tables.read(convergence)
    settled = tables.stabilisation(table, metrics, thresholds, early, training_steps)
    resamples = Resamples(metrics, thresholds, only)
    with progress(len(scores), "files") as advance:
        for path in scores:
            resamples.add(store.read_scores(path))
            advance()
    intervals = tables.table(resamples.blocks(early, training_steps))
    tables.write(pd.concat([settled, intervals], ignore_index=True), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.convergence),
            [Path(p) for p in snakemake.input.scores],
            list(snakemake.params.metrics),
            list(snakemake.params.thresholds),
            snakemake.params.early,
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
            restricted.parsed(snakemake.params.restricted),
        )
