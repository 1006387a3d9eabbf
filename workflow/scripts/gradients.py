"""Measure the gradients of one checkpoint."""

import logging
from pathlib import Path

from tending.core.progress import progress
from tending.models import checkpoint_record
from tending.run.job import running
from tending.stages.gradients import gradient_batches, gradient_file, gradients
from tending.stages.opened import opened


def main(
    record: Path,
    batches: Path,
    parts: list[int],
    device: str,
    dtype: str,
    settings: gradients.Settings,
    study: str,
    keep: bool,
    output: Path,
) -> None:
    """parts: how the study's tokens are divided, where `batches` is their file."""
    checkpoint, taken = checkpoint_record.read(record), gradient_batches.read(batches, parts)
    names = [name for name, _ in taken.batches]
    sequences = sum(len(tokens) for _, tokens in taken.batches)
    with opened(checkpoint, study, keep, device, dtype) as place:
        logging.info("batches: %s", ", ".join(names))
        attributes = {
            **checkpoint_record.attributes(study, checkpoint),
            "corpus_sha256": taken.sha256,
            "tokens_shape": (len(names), *taken.batches[0][1].shape),
            "training_batches": taken.of_training,
            "dtype": dtype,
            "device": place.device.type,
            "gradients_version": gradients.VERSION,
        }
        model = place.load()
        with progress(sequences, "sequences") as advance:
            measured = gradients.of_batches(
                model, taken.batches, settings, advance, logging.warning
            )
            gradient_file.write(output, names, measured, attributes)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.checkpoint),
            Path(snakemake.input.batches),
            list(snakemake.params.parts),
            snakemake.params.device,
            snakemake.params.dtype,
            gradients.Settings(
                tuple(snakemake.params.components),
                snakemake.config["gradients"]["micro_batch"],  # not of the numbers
                snakemake.config["gradients"]["checkpointing"],
            ),
            snakemake.config["study"],
            snakemake.config["keep_checkpoints"],
            Path(snakemake.output.gradients),
        )
