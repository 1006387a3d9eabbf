"""What became of every model's held-out loss between its best step and the last, as a table."""

from pathlib import Path

import numpy as np

from tending.core import store, tables
from tending.metrics.statistics import late_phase
from tending.run.job import progress, running
from tending.stages.synthesis import late_phase_rows


def main(activations: list[Path], training_steps: dict[str, int], csv: Path, parquet: Path) -> None:
    """activations: of all models and steps; those of files without losses have no rows."""
    places: dict[str, tables.Where] = {}
    losses: dict[str, dict[int, store.Array]] = {}
    with progress(len(activations), "files") as advance:
        for path in activations:
            with store.Reader(path) as file:
                if store.LOSS in file.shapes:
                    place = tables.where(file.attributes, training_steps)
                    places[place.model] = place
                    losses.setdefault(place.model, {})[place.step] = file.vector(store.LOSS)
            advance()
    blocks = []
    for model, own in losses.items():
        late = late_phase.of_losses(list(own), np.stack(list(own.values())))
        whole = {k: v for k, v in vars(places[model]).items() if k not in ("step", "progress")}
        n = next(iter(own.values())).size
        blocks += late_phase_rows.blocks(whole, store.LOSS, late, training_steps[model], n)
    tables.write(tables.table(blocks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.activations],
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
