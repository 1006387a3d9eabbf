"""Next-token logits of the step that the others of a model are compared with."""

import logging
from dataclasses import replace
from pathlib import Path

from tending.core import store
from tending.core.progress import progress
from tending.models import checkpoint_record, vocabulary
from tending.run.job import running
from tending.stages.divergence import divergence, divergence_files
from tending.stages.divergence.divergence_config import Positions, probed
from tending.stages.opened import opened


def main(
    record: Path,
    tokens: Path,
    count: int,
    sequences: int,
    positions: Positions,
    batch_size: int,
    device: str,
    dtype: str,
    study: str,
    keep: bool,
    output: Path,
) -> None:
    """count: number of the model's tokens."""
    checkpoint, corpus = checkpoint_record.read(record), store.read_arrays(tokens, ["tokens"])
    probe = corpus.arrays["tokens"]
    places = tuple(probed(positions, probe.shape[1]))
    with opened(checkpoint, study, keep, device, dtype) as place:
        model = place.load()
        settings = divergence.Predicted(sequences, places, count, batch_size)
        settings = replace(settings, vocabulary=divergence.vocabulary(model, count))
        attributes = divergence_files.attributes(
            study, checkpoint, corpus.attributes, probe.shape, settings, dtype, place.device.type
        )
        with (
            progress(sequences, "sequences") as advance,
            store.writing(output, attributes, sequences * len(places)) as sink,
        ):
            for rows in divergence.logits(model, probe, settings, advance, logging.warning):
                sink.append(divergence_files.LOGITS, rows)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.checkpoint),
            Path(snakemake.input.tokens),
            snakemake.params.vocabulary
            or vocabulary.count(Path(next(iter(snakemake.input.tokenizer)))),
            snakemake.params.sequences,
            snakemake.params.positions,
            snakemake.params.batch_size,
            snakemake.params.device,
            snakemake.params.dtype,
            snakemake.config["study"],
            snakemake.config["keep_checkpoints"],
            Path(snakemake.output.reference),
        )
