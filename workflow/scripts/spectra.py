"""Singular values of one checkpoint's weights."""

from pathlib import Path

from tending import fetching, inspection, store
from tending.families import family, published_family
from tending.job import running
from tending.spectra import published_spectra, weight_spectra


def main(record: Path, definitions: list[str], study: str, keep: bool, output: Path) -> None:
    checkpoint = inspection.read(record)
    with fetching.weights(checkpoint, study, keep):
        weights, config = checkpoint.weights(), checkpoint.config
        values = dict(weight_spectra(family(checkpoint.family), weights, config))
        if "published" in definitions:
            kind = published_family(checkpoint.family)
            values |= store.as_published(published_spectra(kind, weights, config, values))
        store.write_arrays(output, values, store.checkpoint_attributes(study, checkpoint))


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.checkpoint),
            list(snakemake.params.definitions),
            snakemake.wildcards.study,
            snakemake.config["keep_checkpoints"],
            Path(snakemake.output.spectra),
        )
