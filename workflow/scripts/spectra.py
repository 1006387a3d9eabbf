"""Singular values of one checkpoint's weights."""

from pathlib import Path

from tending import fetching, inspection, store
from tending.families import family
from tending.job import running
from tending.spectra import weight_spectra


def main(record: Path, study: str, keep: bool, output: Path) -> None:
    checkpoint = inspection.read(record)
    with fetching.weights(checkpoint, study, keep):
        values = weight_spectra(family(checkpoint.family), checkpoint.weights(), checkpoint.config)
        store.write_arrays(output, values, store.checkpoint_attributes(study, checkpoint))


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.checkpoint),
            snakemake.wildcards.study,
            snakemake.config["keep_checkpoints"],
            Path(snakemake.output.spectra),
        )
