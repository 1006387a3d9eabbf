"""All convergence scores of a study, as a table."""

from pathlib import Path

from tending import restricted, store, tables
from tending.job import progress, running
from tending.score_rows import score_blocks


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
                if restricted.taken(only or {}, metric, component)
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
            restricted.parsed(snakemake.params.restricted),
        )
