"""Probe tokens, the same for every checkpoint of a study: (sequences, length) int32.

One file per source, found by its name in the config: `embedded`, `hub`, `hub_text`, `text` and
`tokens`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from tending.core import plugins

VERSION = 1  # raise it when a change alters the tokens: the workflow then rebuilds everything

Tokens = npt.NDArray[np.int32]


class CorpusError(ValueError):
    """A corpus that is unsuitable for the study, with the reason and the remedy."""


@dataclass(frozen=True)
class Wanted:
    """A study's request to its corpus.

    length: tokens per sequence, None for as many as there are; context: the longest sequence
    that every model of the study can read; seed: for drawing the windows of a text; keys: the
    source's own keys of `corpus`, for a source whose files do not determine everything.
    """

    sequences: int
    length: int | None
    context: int
    seed: int = 0
    keys: Mapping[str, Any] = field(default_factory=dict)

    @property
    def window(self) -> int:
        """Length of a window cut from a text: the requested length, at most the context."""
        return min(self.length or self.context, self.context)


@dataclass(frozen=True)
class Probe:
    """Probe sequences (sequences, length), with a warning to the user, if any.

    attributes: the origin of the sequences, for the token file.
    """

    tokens: Tokens
    warning: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """The interface of a source file.

    Besides these functions it defines literals that planning reads without importing it: REQUIRED
    and OPTIONAL, the keys of `corpus` that it uses, and TOKENIZER, whether it needs one.
    """

    def files(self, corpus: Mapping[str, Any], study: str) -> list[str]:
        """Return the files the tokens are made from. Must be quick: planning calls it."""

    def probe(self, files: list[Path], tokenizer: Path | None, wanted: Wanted) -> Probe:
        """Return the probe sequences. Raises CorpusError if the files are unsuitable."""


def source(name: str) -> Source:
    """Return the source called `name`; raise ValueError with the known ones if there is none."""
    return cast(Source, plugins.load("tending.corpus", name, "corpus source"))


def told(keys: str) -> dict[str, Any]:
    """Parse a source's own keys from `Plan.corpus_keys`: JSON, or its name if it has none."""
    return dict(json.loads(keys)) if keys.startswith("{") else {}


def windows_within(stream: npt.NDArray[np.integer], wanted: Wanted) -> Probe:
    """Draw windows of a text's tokens, with a warning if cut to the models' context."""
    warning = ""
    if wanted.length is not None and wanted.length > wanted.context:
        warning = f"`corpus.length` {wanted.length} cut to {wanted.context}, the models' context"
    return Probe(windows(stream, wanted.window, wanted.sequences, wanted.seed), warning)


def windows(stream: npt.NDArray[np.integer], length: int, count: int, seed: int) -> Tokens:
    """Draw `count` windows of `length` tokens from a token stream, (count, length).

    The stream is cut into windows that do not overlap, which are drawn in a seeded random order,
    so that a larger count keeps the windows of a smaller one.
    Raises CorpusError if the stream holds fewer windows.
    """
    available = stream.size // length
    if available < count:
        raise CorpusError(
            f"the corpus has {stream.size} tokens, enough for {available} sequences of {length}; "
            f"the study requests {count} (see `corpus.sequences` and `held_out_loss.sequences`)"
        )
    rows = stream[: available * length].reshape(available, length)
    chosen = np.random.default_rng(seed).permutation(available)[:count]
    return rows[chosen].astype(np.int32)


def joined(documents: list[list[int]], separator: int | None) -> Tokens:
    """Concatenate all documents' tokens, each followed by the separator if there is one."""
    tail = [] if separator is None else [separator]
    pieces = [np.asarray(document + tail, dtype=np.int32) for document in documents]
    return np.concatenate(pieces) if pieces else np.empty(0, np.int32)


def tokens_sha256(tokens: Tokens) -> str:
    """Return the sha256 of the shape and the little-endian int32 values, in hexadecimal."""
    digest = hashlib.sha256(repr(tokens.shape).encode())
    digest.update(np.ascontiguousarray(tokens, dtype="<i4").tobytes())
    return digest.hexdigest()
