"""Scores of one model's checkpoints on the first n sequences, for several n."""

import logging
from pathlib import Path

from tending.core import plugins, store, tables
from tending.core.plugins import SIMILARITY
from tending.run.job import running
from tending.stages.convergence import component_filter
from tending.stages.convergence.sample_size import score_blocks


def main(
    activations: list[Path],
    reference: Path,
    metrics: list[str],
    sizes: list[int],
    training_steps: int,
    rows: Path,
    only: dict[str, list[str]] | None = None,
) -> None:
    """only: components of a metric that is not taken of all."""
    loaded = {n: plugins.load(SIMILARITY, n, "similarity metric").METRIC for n in metrics}
    blocks: list[tables.Columns] = []
    with store.Reader(reference) as there:
        for path in activations:
            with store.Reader(path) as here:
                model = str(here.attributes["model"])
                place = tables.where(here.attributes, {model: training_steps})
                logging.info("step %d", place.step)
                blocks += score_blocks(
                    here, there, loaded, sizes, place, logging.warning, only or {}
                )
    tables.write_parquet(tables.table(blocks), rows)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.activations],
            Path(snakemake.input.reference),
            [line.split()[0] for line in snakemake.params.metrics],
            snakemake.params.sizes,
            snakemake.params.training_steps,
            Path(snakemake.output.rows),
            component_filter.parsed(snakemake.params.restricted),
        )
