"""Metrics of all activations of a study, as a table."""

from pathlib import Path

from tending.core import tables
from tending.run.job import progress, running
from tending.stages.representation import representation_files


def main(
    measured: list[Path],
    metrics: list[str],
    training_steps: dict[str, int],
    csv: Path,
    parquet: Path,
) -> None:
    blocks = []
    with progress(len(measured), "files") as advance:
        for path in measured:
            read = representation_files.read(path)
            place = tables.where(read.attributes, training_steps)
            rows = int(read.attributes["rows"])
            blocks += [
                tables.interval_block(place, component, values, quantity, rows)
                for metric in metrics
                for quantity, components in read.measured[metric].items()
                for component, values in components.items()
            ]
            advance()
    tables.write(tables.table(blocks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.measured],
            list(snakemake.params.metrics),
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
