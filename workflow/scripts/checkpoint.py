"""Inspect one checkpoint and record what it is."""

import logging
from pathlib import Path

from tending.models import checkpoint_record
from tending.run.job import running


def main(folder: Path, model: str, step: int, revision: str, record: Path) -> None:
    checkpoint = checkpoint_record.inspect(folder, model, step, revision)
    logging.info(
        "%s: %s, %d parameters in %d files, weights sha256 %s",
        folder,
        checkpoint.family,
        checkpoint.parameters,
        len(checkpoint.files),
        checkpoint.weights_sha256,
    )
    checkpoint_record.write(checkpoint, record)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.params.folder),
            snakemake.wildcards.model,
            int(snakemake.wildcards.step),
            snakemake.params.revision,
            Path(snakemake.output.record),
        )
