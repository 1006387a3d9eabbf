"""All convergence scores of a study, as a table."""

from pathlib import Path

from tending.core import store, tables
from tending.run.job import progress, running
from tending.stages.convergence import component_filter
from tending.stages.convergence.score_rows import score_blocks


def main(
    scores: list[Path],
    metrics: list[str],
    training_steps: dict[str, int],
    csv: Path,
    parquet: Path,
    only: dict[str, list[str]] | None = None,
) -> None:
    """only: components of a metric that is not taken of all."""
    blocks = []
    with progress(len(scores), "files") as advance:
        for path in scores:
            read = store.read_scores(path, draws=False)
            place = tables.where(read.attributes, training_steps)
            rows = int(read.attributes["rows"])
            blocks += [
                block
                for metric in metrics
                for component, estimates in read.metrics[metric].items()
                if component_filter.taken(only or {}, metric, component)
                for block in score_blocks(place, component, metric, estimates, rows)
            ]
            advance()
    tables.write(tables.table(blocks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.scores],
            list(snakemake.params.metrics),
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
            component_filter.parsed(snakemake.params.restricted),
        )
