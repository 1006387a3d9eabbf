"""Divergences of all checkpoints from their model's reference step, as a table."""

from pathlib import Path

from tending.core import store, tables
from tending.run.job import progress, running
from tending.stages.divergence import divergence_rows


def main(divergences: list[Path], training_steps: dict[str, int], csv: Path, parquet: Path) -> None:
    blocks = []
    with progress(len(divergences), "files") as advance:
        for path in divergences:
            read = store.read_arrays(path)
            place = tables.where(read.attributes, training_steps)
            blocks += divergence_rows.blocks(place, read.arrays)
            advance()
    tables.write(tables.table(blocks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.divergences],
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
