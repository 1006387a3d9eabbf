"""Choose the probe sequences of a study."""

import logging
from pathlib import Path

from tending import corpus
from tending.core import store
from tending.run.job import running


def main(
    source: str,
    files: list[Path],
    tokenizer: Path | None,
    wanted: corpus.Wanted,
    study: str,
    output: Path,
) -> None:
    probe = corpus.source(source).probe(files, tokenizer, wanted)
    if probe.warning:
        logging.warning("%s", probe.warning)
    digest = corpus.tokens_sha256(probe.tokens)
    logging.info("%d sequences of %d tokens, sha256 %s", *probe.tokens.shape, digest)
    store.write_arrays(
        output,
        {"tokens": probe.tokens},
        {
            **probe.attributes,
            "study": study,
            "source": source,
            "corpus_sha256": digest,
            "tokens_shape": probe.tokens.shape,
        },
    )


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            snakemake.params.source,
            [Path(p) for p in snakemake.input.sources],
            Path(snakemake.input.tokenizer[0]) if snakemake.input.tokenizer else None,
            corpus.Wanted(
                snakemake.params.sequences,
                snakemake.params.length,
                snakemake.params.context,
                snakemake.params.seed,
                corpus.told(snakemake.params.source_keys),
            ),
            snakemake.config["study"],
            Path(snakemake.output.tokens),
        )
