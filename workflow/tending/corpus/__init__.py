"""Tokens that every checkpoint of a study is probed with: (sequences, length) int32.

One file per source, found by its name in the config: `embedded`, `text`, `tokens`.
"""

import hashlib

import numpy as np
import numpy.typing as npt

VERSION = 1  # raise it when a change alters the tokens: the workflow then makes everything anew

Tokens = npt.NDArray[np.int32]


class CorpusError(ValueError):
    """A corpus that cannot serve the study, with what was found and the remedy."""


def windows(stream: npt.NDArray[np.integer], length: int, count: int, seed: int) -> Tokens:
    """`count` windows of `length` tokens from a token stream, (count, length).

    The stream is cut into windows that do not overlap, and they are drawn in a seeded random
    order, so that a larger count keeps the windows of a smaller one.
    Raises CorpusError if the stream holds fewer windows.
    """
    available = stream.size // length
    if available < count:
        raise CorpusError(
            f"the corpus has {stream.size} tokens, enough for {available} sequences of {length}; "
            f"the study asks for {count} (see `corpus.sequences` and `held_out_loss.sequences`)"
        )
    rows = stream[: available * length].reshape(available, length)
    chosen = np.random.default_rng(seed).permutation(available)[:count]
    return rows[chosen].astype(np.int32)


def joined(documents: list[list[int]], separator: int | None) -> Tokens:
    """One stream of all documents' tokens, each followed by the separator if there is one."""
    tail = [] if separator is None else [separator]
    pieces = [np.asarray(document + tail, dtype=np.int32) for document in documents]
    return np.concatenate(pieces) if pieces else np.empty(0, np.int32)


def tokens_sha256(tokens: Tokens) -> str:
    """sha256 of the shape and the little-endian int32 values, in hexadecimal."""
    digest = hashlib.sha256(repr(tokens.shape).encode())
    digest.update(np.ascontiguousarray(tokens, dtype="<i4").tobytes())
    return digest.hexdigest()
