"""What is measured of the gradients of a study, as a table."""

from pathlib import Path

from tending.core import plugins, tables
from tending.core.plugins import SPECTRUM
from tending.run.job import progress, running
from tending.stages.convergence import component_filter
from tending.stages.gradients import gradient_file, gradient_table


def main(
    gradients: list[Path],
    metrics: list[str],
    only: dict[str, list[str]],
    training_steps: dict[str, int],
    csv: Path,
    parquet: Path,
) -> None:
    """only: components of a metric that is not taken of all."""
    loaded = {n: plugins.load(SPECTRUM, n, "spectrum metric").METRIC for n in metrics}
    blocks: list[tables.Columns] = []
    with progress(len(gradients), "files") as advance:
        for path in gradients:
            read = gradient_file.read(path)
            place = tables.where(read.attributes, training_steps)
            blocks += gradient_table.blocks(place, read, loaded, only)
            advance()
    tables.write(tables.table(blocks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.gradients],
            [line.split()[0] for line in snakemake.params.metrics],
            component_filter.parsed(snakemake.params.restricted),
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
