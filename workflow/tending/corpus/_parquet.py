"""Read rows of token lists from Parquet files, and as little else as possible.

Footers give the number of rows of a row group and the range of its step column. Only the row
groups that hold wanted rows are read, one column of each, up to the last wanted row.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tending.corpus import CorpusError
from tending.hub import client

AT_ONCE = 8  # footers read at the same time
BUFFER = 4 * 2**20  # bytes of a column read at a time: a step of Pythia's data is about as large
BATCH = 256  # rows decoded at a time
SEE_COUNT = "`corpus.sequences` and `held_out_loss.sequences`"
SEE_RANGE = f"`corpus.rows` or `corpus.batch`, {SEE_COUNT}"
SEE_STEP = ("`corpus.batch`", SEE_COUNT)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shard:
    """An open Parquet file: `file` is pyarrow's ParquetFile, its footer already read."""

    path: str
    file: Any


@dataclass(frozen=True)
class Piece:
    """Wanted rows of one row group, counted from its start, ascending."""

    shard: Shard
    group: int
    rows: Integers


def shards(paths: list[str], opened: Callable[[str], IO[bytes]]) -> Iterator[Shard]:
    """Yield the files with their footers, in order; at most AT_ONCE are read ahead."""
    from pyarrow import parquet

    def shard(path: str) -> Shard:
        def footer() -> Shard:
            return Shard(
                path, parquet.ParquetFile(opened(path), buffer_size=BUFFER, pre_buffer=False)
            )

        with _whole(path):
            return client.patiently(footer, path)

    yield shard(paths[0])  # alone, because it is often all that is needed
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(1, len(paths), AT_ONCE):
            yield from pool.map(shard, paths[start : start + AT_ONCE])


def rows_from(
    found: Iterator[Shard], column: str, start: int, count: int, see: str = SEE_RANGE
) -> list[Piece]:
    """Select rows start to start + count of the concatenated files.

    see: config keys that the error names. Raises CorpusError if the files have fewer rows.
    """
    pieces: list[Piece] = []
    first = 0
    for shard in found:
        check_tokens(shard, column)
        for group in range(shard.file.metadata.num_row_groups):
            rows = shard.file.metadata.row_group(group).num_rows
            low, high = max(start, first), min(start + count, first + rows)
            if low < high:
                pieces.append(Piece(shard, group, np.arange(low - first, high - first)))
            first += rows
        if first >= start + count:
            return pieces
    raise CorpusError(
        f"the split has {first} rows, the study requests {count} from row {start} on (see {see})"
    )


def rows_of_step(
    found: Iterator[Shard],
    column: str,
    steps: str,
    step: int,
    count: int,
    see: tuple[str, str] = SEE_STEP,
) -> list[Piece]:
    """Select the first `count` rows whose column `steps` is `step`.

    see: config keys that an error names, for the step and for the number of rows.
    Raises CorpusError if there are fewer rows, naming the nearest steps if there are none.
    """
    pieces: list[Piece] = []
    missing, known = count, set[int]()
    for shard in found:
        check_tokens(shard, column)
        _check_steps(shard, steps)
        for group in range(shard.file.metadata.num_row_groups):
            rows, seen = _rows_of_step(shard, group, steps, step)
            known |= seen
            if rows.size and missing > 0:
                pieces.append(Piece(shard, group, rows[:missing]))
                missing -= pieces[-1].rows.size
        if missing <= 0:
            return pieces
    if not pieces:
        nearest = sorted(sorted(known, key=lambda s: (abs(s - step), s))[:4])
        raise CorpusError(
            f"no row has {steps} {step}; the dataset goes from {min(known, default=None)} to "
            f"{max(known, default=None)}, among the nearest are {nearest} (see {see[0]})"
        )
    raise CorpusError(
        f"{steps} {step} has {count - missing} rows, the study requests {count} (see {see[1]})"
    )


def first_with_step(
    paths: list[str], opened: Callable[[str], IO[bytes]], steps: str, step: int
) -> int:
    """Return the index of the first file that can hold `step`, if rows ascend in column `steps`.

    Bisects the files by their footers. Returns 0 if these have no statistics, or if no file
    extends to that step.
    """
    low, high = 0, len(paths)
    while low < high:
        middle = (low + high) // 2
        last = _last_step(next(shards(paths[middle : middle + 1], opened)), steps)
        if last is None:
            return 0
        low, high = (middle + 1, high) if last < step else (low, middle)
    return low if low < len(paths) else 0


def _last_step(shard: Shard, steps: str) -> int | None:
    """Return the largest step in a file according to its footer; None if it has no statistics."""
    _check_steps(shard, steps)
    metadata = shard.file.metadata
    largest = []
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        columns = (group.column(i) for i in range(group.num_columns))
        statistics = next(c.statistics for c in columns if c.path_in_schema == steps)
        if statistics is None or not statistics.has_min_max:
            return None
        largest.append(int(statistics.max))
    return max(largest, default=None)


def _rows_of_step(shard: Shard, group: int, steps: str, step: int) -> tuple[Integers, set[int]]:
    """Return a row group's rows at `step`, and the steps that it is now known to have."""
    from pyarrow import compute

    metadata = shard.file.metadata.row_group(group)
    columns = (metadata.column(i) for i in range(metadata.num_columns))
    statistics = next(c.statistics for c in columns if c.path_in_schema == steps)
    if statistics is not None and statistics.has_min_max:
        low, high = statistics.min, statistics.max
        if low == high == step and not statistics.null_count:
            return np.arange(metadata.num_rows), {step}
        if not low <= step <= high:
            return np.empty(0, np.int64), {low, high}

    def values() -> Any:
        return shard.file.read_row_group(group, columns=[steps]).column(steps)

    with _whole(shard.path):
        read = client.patiently(values, shard.path)
    rows = compute.indices_nonzero(compute.equal(read, step))
    return rows.to_numpy().astype(np.int64), set(read.unique().drop_null().to_pylist())


def matrix(pieces: list[Piece], column: str, length: int | None) -> npt.NDArray[np.integer]:
    """Stack the token lists of all pieces, (rows, tokens), cut to `length` if theirs differ.

    Raises CorpusError if values are missing, or if lengths differ and `length` does not fit all.
    """
    from pyarrow import compute, concat_arrays

    lists = concat_arrays([array for piece in pieces for array in _read(piece, column)])
    lengths = compute.list_value_length(lists)
    if lists.null_count or lists.flatten().null_count:
        raise CorpusError(f"the column {column!r} has missing values among the requested rows")
    sizes = lengths.to_numpy(zero_copy_only=False)
    shortest, longest = int(sizes.min()), int(sizes.max())
    if shortest != longest and (length is None or length > shortest):
        raise CorpusError(
            f"rows of {shortest} to {longest} tokens: row {int(sizes.argmin())} of those requested "
            f"is the shortest, and all must be equally long; set `corpus.length` to {shortest} or "
            f"less"
        )
    kept = longest if shortest == longest else int(length or shortest)
    cut = compute.list_slice(lists, 0, kept, return_fixed_size_list=True)
    return np.asarray(cut.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), kept))


def _read(piece: Piece, column: str) -> list[Any]:
    def arrays() -> list[Any]:
        taken, first = [], 0
        for batch in piece.shard.file.iter_batches(BATCH, [piece.group], columns=[column]):
            here = piece.rows[(piece.rows >= first) & (piece.rows < first + batch.num_rows)]
            if here.size:
                taken.append(batch.column(0).take(here - first))
            first += batch.num_rows
            if first > piece.rows[-1]:
                break
        return taken

    with _whole(piece.shard.path):
        return client.patiently(arrays, piece.shard.path)


@contextmanager
def _whole(path: str) -> Iterator[None]:
    """Raise CorpusError naming the file if its contents cannot be read."""
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise CorpusError(
            f"{path} is not a complete Parquet file ({reason}); name another `corpus.revision`, or "
            f"notify the dataset's owners"
        ) from None


def texts(found: Iterator[Shard], column: str, start: int, stop: int | None) -> list[str]:
    """Return the texts of rows start to stop of the concatenated files, missing ones as ""."""
    taken: list[str] = []
    first = 0
    for shard in found:
        _check_texts(shard, column)
        for group in range(shard.file.metadata.num_row_groups):
            rows = shard.file.metadata.row_group(group).num_rows
            low, high = max(start - first, 0), rows if stop is None else min(stop - first, rows)
            if low < high:
                taken += _texts(shard, group, column)[low:high]
            first += rows
        if stop is not None and first >= stop:
            break
    return taken


def _texts(shard: Shard, group: int, column: str) -> list[str]:
    def read() -> list[str]:
        values = shard.file.read_row_group(group, columns=[column]).column(column)
        return [text or "" for text in values.to_pylist()]

    with _whole(shard.path):
        return client.patiently(read, shard.path)


def _check_texts(shard: Shard, column: str) -> None:
    from pyarrow import types

    kind = _type(shard, column, "corpus.column")
    if not types.is_string(kind) and not types.is_large_string(kind):
        raise CorpusError(
            f"{shard.path}: the column {column!r} is of type {kind}, expected text; name another "
            f"in `corpus.column`, or use the source hub for rows of tokens: {_columns(shard)}"
        )


def check_tokens(shard: Shard, column: str) -> None:
    """Raise CorpusError if a file has no column of lists of integers of that name."""
    from pyarrow import types

    kind = _type(shard, column, "corpus.column")
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not lists or not types.is_integer(kind.value_type):
        raise CorpusError(
            f"{shard.path}: the column {column!r} is of type {kind}, expected lists of integers, "
            f"a row of token ids each; name another in `corpus.column`: {_columns(shard)}"
        )


def _check_steps(shard: Shard, column: str) -> None:
    from pyarrow import types

    kind = _type(shard, column, "corpus.batch.column")
    if not types.is_integer(kind):
        raise CorpusError(
            f"{shard.path}: the column {column!r} is of type {kind}, expected the step as an "
            f"integer; name another in `corpus.batch.column`: {_columns(shard)}"
        )


def _type(shard: Shard, column: str, key: str) -> Any:
    schema = shard.file.schema_arrow
    if column not in schema.names:
        raise CorpusError(
            f"{shard.path} has no column {column!r}; name one in `{key}`: {_columns(shard)}"
        )
    return schema.field(column).type


def _columns(shard: Shard) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in shard.file.schema_arrow)
