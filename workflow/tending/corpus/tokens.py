"""A ready-made matrix of tokens: the rows a model was trained on, or the user's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tending.corpus import CorpusError, Probe, Wanted

REQUIRED = ("path",)
OPTIONAL = ()
TOKENIZER = False


def files(corpus: Mapping[str, Any], study: str) -> list[str]:
    """Return the file of the matrix, `corpus.path`."""
    return [str(corpus["path"])]


def probe(files: list[Path], tokenizer: Path | None, wanted: Wanted) -> Probe:
    """Return the first rows of the matrix."""
    from tending.core import store

    return first_rows(store.read_matrix(files[0]), wanted)


def first_rows(matrix: npt.NDArray[np.generic], wanted: Wanted) -> Probe:
    """Return the first rows of a token matrix, cut to the requested length and to the context.

    matrix: (rows, columns) of integers >= 0. A warning reports rows cut to the context.
    Raises CorpusError if the matrix has another form or is too small.
    """
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.integer):
        raise CorpusError(
            f"the token matrix has shape {matrix.shape} and type {matrix.dtype}; expected two "
            f"dimensions (sequences, length) of integers"
        )
    rows, columns = matrix.shape
    if rows < wanted.sequences:
        raise CorpusError(
            f"the token matrix has {rows} rows; the study requests {wanted.sequences} (see "
            f"`corpus.sequences` and `held_out_loss.sequences`)"
        )
    if wanted.length is not None and wanted.length > columns:
        raise CorpusError(
            f"the token matrix has {columns} columns; `corpus.length` is {wanted.length}"
        )
    length = columns if wanted.length is None else wanted.length
    kept = min(length, wanted.context)
    taken = np.asarray(matrix[: wanted.sequences, :kept])
    if taken.size and (taken.min() < 0 or taken.max() > np.iinfo(np.int32).max):
        raise CorpusError(f"token ids must be 0 or more, found {taken.min()} to {taken.max()}")
    warning = (
        f"rows of {length} tokens cut to {kept}, the longest sequence the models can read; the "
        f"last position is now token {kept}"
    )
    return Probe(taken.astype(np.int32), warning if kept < length else "")
