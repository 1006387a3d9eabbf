"""Held-out losses and perplexities of all checkpoints, as a table."""

from pathlib import Path

from tending.core import store, tables
from tending.run.job import running
from tending.stages.activations import loss_rows


def main(activations: list[Path], training_steps: dict[str, int], csv: Path, parquet: Path) -> None:
    blocks = []
    for path in activations:
        with store.Reader(path) as file:
            if store.LOSS in file.shapes:
                place = tables.where(file.attributes, training_steps)
                losses = file.vector(store.LOSS)
                blocks += tables.loss_blocks(place, losses)
                blocks += loss_rows.blocks(place, losses)
    tables.write(tables.table(blocks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.activations],
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
