"""Extract the activations of one checkpoint, and its held-out loss."""

import logging
from pathlib import Path

from tending.core import positions, store
from tending.core.progress import progress
from tending.models import checkpoint_record
from tending.run.job import running
from tending.stages.activations import activations as extraction
from tending.stages.opened import opened
from tending.study import row_limits


def main(
    record: Path,
    tokens: Path,
    device: str,
    dtype: str,
    settings: extraction.Extraction,
    similarity: list[str],
    study: str,
    keep: bool,
    output: Path,
) -> None:
    checkpoint, corpus = checkpoint_record.read(record), store.read_arrays(tokens, ["tokens"])
    probe = corpus.arrays["tokens"]
    probed = len(positions.indices(settings.position, probe.shape[1]))
    row_limits.check(settings.sequences, probed, similarity)
    total = max(settings.sequences, settings.loss_sequences)
    with opened(checkpoint, study, keep, device, dtype) as place:
        attributes = {
            **checkpoint_record.attributes(study, checkpoint),
            "corpus_sha256": corpus.attributes["corpus_sha256"],
            "tokens_shape": probe.shape,
            "position": positions.recorded(settings.position),
            "sequences": settings.sequences,
            "dtype": dtype,
            "device": place.device.type,
            "extraction_version": extraction.VERSION,
        }
        model = place.load(with_loss=settings.loss_sequences > 0)
        with (
            progress(total, "sequences") as advance,
            store.writing(output, attributes, settings.sequences * probed) as sink,
        ):
            extraction.stream(model, probe, settings, sink, advance, logging.warning)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.checkpoint),
            Path(snakemake.input.tokens),
            snakemake.params.device,
            snakemake.params.dtype,
            extraction.Extraction(
                snakemake.params.position,
                snakemake.params.batch_size,
                snakemake.params.sequences,
                snakemake.params.loss_sequences,
                "published" in snakemake.config["definitions"],  # `version` says so
                tuple(snakemake.config["components"]),
            ),
            snakemake.config["similarity"],
            snakemake.config["study"],
            snakemake.config["keep_checkpoints"],
            Path(snakemake.output.activations),
        )
