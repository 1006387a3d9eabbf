"""A ready matrix of tokens: the rows a model was trained on, or anybody's own."""

import numpy as np
import numpy.typing as npt

from tending.corpus import CorpusError, Tokens


def probe(
    matrix: npt.NDArray[np.generic], sequences: int, length: int | None, context: int
) -> tuple[Tokens, str]:
    """The first rows of a token matrix, cut to the length asked for and to the context.

    matrix: (rows, columns) of integers >= 0. length: tokens wanted per row, None for all.
    context: the longest sequence that every model of the study can read.
    Returns (sequences, length) and a warning for the user, empty if nothing was cut to the
    context. Raises CorpusError if the matrix is no such matrix or too small.
    """
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.integer):
        raise CorpusError(
            f"the token matrix has shape {matrix.shape} and type {matrix.dtype}; expected two "
            f"dimensions (sequences, length) of integers"
        )
    rows, columns = matrix.shape
    if rows < sequences:
        raise CorpusError(
            f"the token matrix has {rows} rows; the study asks for {sequences} (see "
            f"`corpus.sequences` and `held_out_loss.sequences`)"
        )
    if length is not None and length > columns:
        raise CorpusError(f"the token matrix has {columns} columns; `corpus.length` is {length}")
    wanted = columns if length is None else length
    kept = min(wanted, context)
    taken = np.asarray(matrix[:sequences, :kept])
    if taken.size and (taken.min() < 0 or taken.max() > np.iinfo(np.int32).max):
        raise CorpusError(f"token ids must be 0 or more, found {taken.min()} to {taken.max()}")
    warning = (
        f"rows of {wanted} tokens cut to {kept}, the longest sequence the models can read; the "
        f"last position is now token {kept}"
    )
    return taken.astype(np.int32), warning if kept < wanted else ""
