"""Extract the activations of one checkpoint, and its held-out loss."""

import logging
from pathlib import Path

from tending import activations as extraction
from tending import inspection, store
from tending.job import progress, running


def main(
    record: Path,
    tokens: Path,
    device: str,
    dtype: str,
    settings: extraction.Extraction,
    study: str,
    output: Path,
) -> None:
    checkpoint, corpus = inspection.read(record), store.read_arrays(tokens, ["tokens"])
    chosen = extraction.choose_device(device)
    logging.info("%s in %s on %s", checkpoint.folder, dtype, chosen)
    model = extraction.load_model(Path(checkpoint.folder), dtype, chosen)
    total = max(settings.sequences, settings.loss_sequences)
    with progress(total, "sequences") as advance:
        captured = extraction.capture(
            model, corpus.arrays["tokens"], settings, advance, logging.warning
        )
    store.write_arrays(
        output,
        captured.arrays,
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
            ),
            snakemake.wildcards.study,
            Path(snakemake.output.activations),
        )
