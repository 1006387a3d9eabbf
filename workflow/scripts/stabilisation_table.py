"""When every layer settles, and how far that depends on the sequences, as a table."""

from pathlib import Path

import pandas as pd

from tending.core import store, tables
from tending.run.job import progress, running
from tending.stages.convergence import component_filter, stabilisation_rows
from tending.stages.convergence.early_scores import EarlyScores
from tending.stages.convergence.stabilisation_intervals import Resamples


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
    settled = stabilisation_rows.stabilisation(table, metrics, thresholds, early, training_steps)
    resamples = Resamples(metrics, thresholds, only)
    early_scores = EarlyScores(metrics, early, training_steps, only)
    with progress(len(scores), "files") as advance:
        for path in scores:
            read = store.read_scores(path)
            resamples.add(read)
            early_scores.add(read)
            advance()
    resampled = [*resamples.blocks(early, training_steps), *early_scores.blocks()]
    table = pd.concat([settled, tables.table(resampled)], ignore_index=True)
    tables.write(table, csv, parquet)


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
            component_filter.parsed(snakemake.params.restricted),
        )
