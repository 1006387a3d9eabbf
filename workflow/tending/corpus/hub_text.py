"""Text of a dataset on the Hugging Face hub, tokenised with the models' own tokenizer.

The dataset's revision is pinned as for the source `hub`; every row is a document.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tending.core import paths
from tending.corpus import Probe, Wanted, text
from tending.corpus.hub import attributes, opened, parse_rows

if TYPE_CHECKING:
    from tending.corpus._parquet import Shard

REQUIRED = ("dataset", "column")
OPTIONAL = ("config", "split", "revision", "rows", "tokenizer")
TOKENIZER = True


def files(corpus: Mapping[str, Any], study: str) -> list[str]:
    """Return the study's pin file of the dataset."""
    return [paths.CORPUS_REVISION.format(study=study)]


def probe(files: list[Path], tokenizer: Path | None, wanted: Wanted) -> Probe:
    """Draw windows of the tokens of all requested rows, as from a local text."""
    from tending.corpus import _parquet

    keys = wanted.keys
    start, stop = parse_rows(keys.get("rows", "0.."))
    pin, shards = opened(files[0], keys)
    read: list[str] = []

    def documents() -> list[str]:
        texts = _parquet.texts(_noting(shards, read), keys["column"], start, stop)
        return [document for document in texts if document.strip()]

    drawn = text.windows_of(documents, tokenizer, wanted)
    rows = f"{start}..{'' if stop is None else stop}"
    return replace(drawn, attributes=attributes(pin, keys, rows, read))


def _noting(shards: "Iterator[Shard]", paths: list[str]) -> "Iterator[Shard]":
    """Yield the shards, recording the path of each in `paths` when it is read."""
    for shard in shards:
        paths.append(shard.path)
        yield shard
