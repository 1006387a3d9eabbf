"""Metrics of all spectra of a study, as a table."""

from pathlib import Path

from tending.core import plugins, store, tables
from tending.core.plugins import SPECTRUM
from tending.run.job import progress, running
from tending.stages.convergence import component_filter
from tending.stages.spectra.spectrum_table import spectrum_blocks


def main(
    spectra: list[Path],
    metrics: list[str],
    training_steps: dict[str, int],
    csv: Path,
    parquet: Path,
    only: dict[str, list[str]] | None = None,
) -> None:
    """only: components of a metric that is not taken of all."""
    loaded = {n: plugins.load(SPECTRUM, n, "spectrum metric").METRIC for n in metrics}
    blocks = []
    with progress(len(spectra), "files") as advance:
        for path in spectra:
            read = store.read_arrays(path)
            place = tables.where(read.attributes, training_steps)
            blocks += spectrum_blocks(path, place, read, loaded, only or {})
            advance()
    tables.write(tables.table(blocks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input],
            [line.split()[0] for line in snakemake.params.metrics],
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
            component_filter.parsed(snakemake.params.restricted),
        )
