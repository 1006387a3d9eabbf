"""Extract the activations of one checkpoint, and its held-out loss."""

import logging
from pathlib import Path
from typing import Any

from tending import activations as extraction
from tending import fetching, inspection, models, store
from tending.corpus import Tokens
from tending.job import progress, running


def main(
    record: Path,
    tokens: Path,
    device: str,
    dtype: str,
    settings: extraction.Extraction,
    study: str,
    keep: bool,
    output: Path,
) -> None:
    checkpoint, corpus = inspection.read(record), store.read_arrays(tokens, ["tokens"])
    chosen = models.choose_device(device)
    logging.info("%s in %s on %s", checkpoint.folder, dtype, chosen)
    with fetching.weights(checkpoint, study, keep):
        captured = extract(checkpoint.folder, corpus.arrays["tokens"], chosen, dtype, settings)
        store.write_arrays(
            output,
            {**captured.arrays, **store.as_published(captured.published)},
            {
                **store.checkpoint_attributes(study, checkpoint),
                "corpus_sha256": corpus.attributes["corpus_sha256"],
                "tokens_shape": corpus.arrays["tokens"].shape,
                "position": str(settings.position),
                "sequences": settings.sequences,
                "dtype": dtype,
                "device": chosen.type,
                "extraction_version": extraction.VERSION,
            },
        )


def extract(
    folder: str, tokens: Tokens, device: Any, dtype: str, settings: extraction.Extraction
) -> extraction.Captured:
    model = models.load_model(Path(folder), dtype, device, settings.loss_sequences > 0)
    total = max(settings.sequences, settings.loss_sequences)
    with progress(total, "sequences") as advance:
        return extraction.capture(model, tokens, settings, advance, logging.warning)


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
                "published" in snakemake.config["definitions"],  # `version` says so too
            ),
            snakemake.wildcards.study,
            snakemake.config["keep_checkpoints"],
            Path(snakemake.output.activations),
        )
