"""Choose the probe sequences of a study."""

import logging
from pathlib import Path

from tending import store
from tending.corpus import Tokens, embedded, text, tokens, tokens_sha256
from tending.job import running


def main(
    source: str,
    sources: list[Path],
    tokenizer: Path | None,
    sequences: int,
    length: int | None,
    context: int,
    seed: int,
    study: str,
    output: Path,
) -> None:
    probe = choose(source, sources, tokenizer, sequences, length, context, seed)
    digest = tokens_sha256(probe)
    logging.info("%d sequences of %d tokens, sha256 %s", *probe.shape, digest)
    store.write_arrays(
        output,
        {"tokens": probe},
        {"study": study, "source": source, "corpus_sha256": digest, "tokens_shape": probe.shape},
    )


def choose(
    source: str,
    sources: list[Path],
    tokenizer: Path | None,
    sequences: int,
    length: int | None,
    context: int,
    seed: int,
) -> Tokens:
    if source == "tokens":
        rows, warning = tokens.probe(store.read_matrix(sources[0]), sequences, length, context)
        if warning:
            logging.warning("%s: %s", sources[0], warning)
        return rows
    kept = min(length or context, context)
    if length and kept < length:
        logging.warning("`corpus.length` %d cut to %d, the models' context", length, kept)
    if source == "embedded":
        stream = store.read_arrays(sources[0], ["held_out"]).arrays["held_out"]
        return embedded.probe(stream, sequences, kept, seed)
    assert tokenizer is not None
    documents = text.read(sources)
    return text.probe(documents, text.load_tokenizer(tokenizer), sequences, kept, seed)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            snakemake.params.source,
            [Path(p) for p in snakemake.input.sources],
            Path(snakemake.input.tokenizer[0]) if snakemake.input.tokenizer else None,
            snakemake.params.sequences,
            snakemake.params.length,
            snakemake.params.context,
            snakemake.params.seed,
            snakemake.wildcards.study,
            Path(snakemake.output.tokens),
        )
