"""Cut the embedded corpus from the installed packages and train its tokenizer."""

import logging
from pathlib import Path

from tending.core import atomic, store
from tending.corpus import embedded, tokens_sha256
from tending.run.job import running


def main(packages: list[str], study: str, corpus: Path, tokenizer: Path) -> None:
    prose = embedded.documents()
    train, held_out = embedded.split(prose)
    characters = sum(map(len, train)), sum(map(len, held_out))
    logging.info("%d documents, %d + %d characters", len(prose), *characters)
    bpe = embedded.train_tokenizer(train)
    streams = {"train": embedded.encode(bpe, train), "held_out": embedded.encode(bpe, held_out)}
    logging.info("%d training and %d held-out tokens", *(s.size for s in streams.values()))
    atomic.write_text(tokenizer, bpe.to_str(pretty=True) + "\n")
    store.write_arrays(
        corpus,
        streams,
        {
            "study": study,
            "packages": " ".join(packages),
            "vocabulary": bpe.get_vocab_size(),
            "corpus_sha256": tokens_sha256(streams["train"]),
            "documents": len(prose),
        },
    )


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            list(snakemake.params.packages),
            snakemake.config["study"],
            Path(snakemake.output.corpus),
            Path(snakemake.output.tokenizer),
        )
