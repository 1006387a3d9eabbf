"""Means over the seeds of every group, and similarities between seeds, as a table."""

import json
from pathlib import Path

from tending.core import tables
from tending.run.job import progress, running
from tending.stages.convergence import component_filter
from tending.stages.seeds import between_seeds, group_tables
from tending.stages.seeds.between_seeds_rows import between_blocks


def main(
    pairs: list[Path],
    parquets: list[Path],
    members: dict[str, list[str]],
    metrics: list[str],
    ranks: list[str],
    thresholds: list[float],
    training_steps: dict[str, int],
    csv: Path,
    parquet: Path,
    only: dict[str, list[str]] | None = None,
) -> None:
    """parquets: the tables convergence, effective_rank, stabilisation and loss. only: components
    of a similarity that is not taken of all.
    """
    read = [tables.read(path) for path in parquets]
    blocks = group_tables.groups(members, *read, metrics, ranks, thresholds)
    with progress(len(pairs), "files") as advance:
        for path in pairs:
            scores, attributes = between_seeds.read(path)
            scores = {
                metric: {
                    c: v for c, v in own.items() if component_filter.taken(only or {}, metric, c)
                }
                for metric, own in scores.items()
            }
            models = json.loads(attributes["members"])
            length = training_steps[models[0]]
            blocks += between_blocks(scores, attributes, models, metrics, length)
            advance()
    tables.write(tables.table(blocks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.between],
            [
                Path(snakemake.input.convergence),
                Path(snakemake.input.ranks),
                Path(snakemake.input.stabilisation),
                Path(snakemake.input.loss),
            ],
            snakemake.params.members,
            list(snakemake.params.metrics),
            list(snakemake.params.ranks),
            list(snakemake.params.thresholds),
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
            component_filter.parsed(snakemake.params.restricted),
        )
