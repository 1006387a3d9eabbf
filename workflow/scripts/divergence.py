"""Divergence of one checkpoint's next-token predictions from the reference's."""

import logging
from functools import partial
from pathlib import Path

from tending.core import store
from tending.core.progress import progress
from tending.models import checkpoint_record
from tending.run.job import running
from tending.stages.divergence import divergence, divergence_files
from tending.stages.divergence.divergence_config import Positions, probed
from tending.stages.opened import opened


def main(
    record: Path,
    reference_record: Path,
    reference: Path,
    tokens: Path,
    sequences: int,
    positions: Positions,
    batch_size: int,
    device: str,
    dtype: str,
    study: str,
    keep: bool,
    output: Path,
) -> None:
    checkpoint, corpus = checkpoint_record.read(record), store.read_arrays(tokens, ["tokens"])
    probe = corpus.arrays["tokens"]
    places = tuple(probed(positions, probe.shape[1]))
    with (
        store.Reader(reference) as file,
        opened(checkpoint, study, keep, device, dtype) as place,
    ):
        count = file.shapes[divergence_files.LOGITS][1]
        settings = divergence.Predicted(sequences, places, count, batch_size)
        attributes = divergence_files.attributes(
            study, checkpoint, corpus.attributes, probe.shape, settings, dtype, place.device.type
        )
        divergence_files.check(
            reference, file.attributes, attributes, checkpoint_record.read(reference_record)
        )
        rows = partial(file.part, divergence_files.LOGITS)
        model = place.load()
        with progress(sequences, "sequences") as advance:
            found = divergence.divergences(model, probe, settings, rows, advance, logging.warning)
        divergence_files.write(output, found, attributes, file.attributes)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.checkpoint),
            Path(snakemake.input.reference_checkpoint),
            Path(snakemake.input.reference),
            Path(snakemake.input.tokens),
            snakemake.params.sequences,
            snakemake.params.positions,
            snakemake.params.batch_size,
            snakemake.params.device,
            snakemake.params.dtype,
            snakemake.config["study"],
            snakemake.config["keep_checkpoints"],
            Path(snakemake.output.divergence),
        )
