"""HDF5 files: every group, dataset, attribute and type, in one place.

Tokens: `tokens` (sequences, length) int32.
Activations: one float32 dataset per component, ([layers, [heads,]] rows, width), without layers
for a component that a model has once, and `held_out_loss` (sequences,) float64.
Spectra: one float64 dataset per component, (layers, [heads,] values).
Scores: one group per metric, in it one per component, in it one float64 dataset (layers, [heads])
per field of tending.core.estimates.Estimates, but `draws` (layers, [heads,] draws) float32.
Trajectories: float64 datasets METRIC/MEASURE[/COMPONENT], see stages/trajectory/trajectory_files.
Batches and gradients: see stages/gradients/gradient_batches and gradient_file; predictions and
divergences: see stages/divergence/divergence_files.
Datasets computed by the paper's own definitions have a suffix: `attention_ov__published`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

from tending.core import atomic, provenance
from tending.core.aliases import Attributes
from tending.core.arrays import Array
from tending.core.estimates import Estimates

SCHEMA_VERSION = 1
HEADS = "_heads"  # suffix of a component's per-head dataset
PUBLISHED = "__published"  # suffix of a dataset by the published definition
LOSS = "held_out_loss"
BLOCK_BYTES = 2**26  # of rows read at a time
CHUNK_BYTES = 2**20  # the most in one chunk of a file that is written in batches
DRAWS = "draws"  # the dataset of an estimate's resamples
_OWN = ("schema_version", "code_version", "libraries", "created")  # written into every file


class StoreError(ValueError):
    """A file that cannot be read as expected, with the remedy."""


@dataclass(frozen=True)
class Arrays:
    """Arrays by dataset name, and the attributes of the file that holds them."""

    arrays: dict[str, Array]
    attributes: Attributes


@dataclass(frozen=True)
class Scores:
    """Scores of one checkpoint against the reference.

    metrics: metric -> component -> estimates, (layers,) or, per head, (layers, heads).
    codes: metric -> hash of the code that computed it.
    """

    metrics: dict[str, dict[str, Estimates]]
    codes: dict[str, str]
    attributes: Attributes = field(default_factory=dict)


def as_published(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Rename arrays computed by the published definition to the names of their datasets."""
    return {f"{name}{PUBLISHED}": array for name, array in arrays.items()}


def part_of(dataset: str) -> tuple[str, bool, str]:
    """Return a dataset's component, whether it is per head, and its definition."""
    name = dataset.removesuffix(PUBLISHED)
    definition = "correct" if name == dataset else "published"
    return name.removesuffix(HEADS), name.endswith(HEADS), definition


def write_arrays(path: Path, arrays: Mapping[str, Array], attributes: Attributes) -> None:
    """Write datasets of one kind with their attributes, atomically.

    A dataset with three or more axes is stored in chunks of its last two, so that one layer, or
    one head, can be read without its neighbours.
    """
    with atomic.replacing(path) as partial, h5py.File(partial, "w") as file:
        _write_attributes(file, attributes)
        for name, array in arrays.items():
            chunks = (*(1 for _ in array.shape[:-2]), *array.shape[-2:])
            file.create_dataset(name, data=array, chunks=chunks if array.ndim > 2 else None)


class Writer:
    """An open file that receives arrays in batches along their rows; see `writing`."""

    def __init__(self, file: h5py.File, rows: int) -> None:
        self._file, self._rows = file, rows
        self._written: dict[str, int] = {}
        self._vectors: dict[str, list[Array]] = {}

    def append(self, name: str, rows: Array, published: bool = False) -> None:
        """Append rows (..., rows, width) to a dataset, or values to a vector.

        The first batch sets the chunk size, so that batches of the same size fill whole chunks.
        """
        name = f"{name}{PUBLISHED}" if published else name
        if rows.ndim == 1:
            self._vectors.setdefault(name, []).append(rows)
            return
        if name not in self._written:
            self._create(name, rows)
        begin = self._written[name]
        self._written[name] = end = begin + rows.shape[-2]
        if end <= self._rows:  # otherwise `finish` raises
            self._file[name][..., begin:end, :] = rows

    def _create(self, name: str, rows: Array) -> None:
        *outer, batch, width = rows.shape
        chunk = max(1, min(batch, self._rows, CHUNK_BYTES // (width * rows.itemsize)))
        chunks = (*(1 for _ in outer), chunk, width)
        self._file.create_dataset(name, (*outer, self._rows, width), rows.dtype, chunks=chunks)
        self._written[name] = 0

    def finish(self) -> None:
        """Write the vectors; raise StoreError if a dataset has too few rows, or too many."""
        for name, written in self._written.items():
            if written != self._rows:
                raise StoreError(f"{name}: {written} rows were written, {self._rows} expected")
        for name, parts in self._vectors.items():
            self._file.create_dataset(name, data=np.concatenate(parts))


@contextmanager
def writing(path: Path, attributes: Attributes, rows: int) -> Iterator[Writer]:
    """Open a file, written atomically, whose datasets of `rows` rows arrive in batches.

    No more than a batch is held in memory. Every layer and head has chunks of its own.
    """
    with atomic.replacing(path) as partial, h5py.File(partial, "w") as file:
        writer = Writer(file, rows)
        yield writer
        writer.finish()
        _write_attributes(file, attributes)


def read_arrays(path: Path, names: list[str] | None = None) -> Arrays:
    """Read the named datasets (default: all).

    A dataset in groups is named with them, `GROUP/GROUP/NAME`. Raises StoreError if the file has
    another schema version or lacks a dataset.
    """
    with _opened(path) as file:
        wanted = _datasets(file) if names is None else names
        missing = [name for name in wanted if name not in file]
        if missing:
            raise StoreError(
                f"{path} has no dataset {missing[0]!r}, only {', '.join(file)}; delete it and run "
                f"the workflow again"
            )
        return Arrays({name: file[name][()] for name in wanted}, dict(file.attrs))


@dataclass(frozen=True)
class Rows:
    """Leading rows of one layer or head, read block by block; shape is (rows, width)."""

    _dataset: h5py.Dataset
    _index: tuple[int, ...]
    shape: tuple[int, int]

    def blocks(self) -> Iterator[Array]:
        """Yield all rows in order, at most BLOCK_BYTES at a time; every call starts over."""
        total, width = self.shape
        step = max(1, BLOCK_BYTES // (width * self._dataset.dtype.itemsize))
        for begin in range(0, total, step):
            yield np.asarray(self._dataset[(*self._index, slice(begin, min(begin + step, total)))])


def _datasets(file: h5py.File) -> list[str]:
    every: list[str] = []
    file.visititems(lambda n, o: every.append(n) if isinstance(o, h5py.Dataset) else None)
    return every


class Reader:
    """An open file, read one layer at a time because activations may not fit in memory."""

    def __init__(self, path: Path) -> None:
        self._file = _opened(path)
        self.attributes: Attributes = dict(self._file.attrs)
        self.shapes: dict[str, tuple[int, ...]] = {n: self._file[n].shape for n in self._file}

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def matrix(self, name: str, index: tuple[int, ...]) -> Array:
        """Return the (rows, width) matrix at `index` = (layer,) or (layer, head)."""
        return np.asarray(self._file[name][index])

    def rows(self, name: str, index: tuple[int, ...], first: int | None = None) -> Rows:
        """Return the same matrix, or its `first` rows, to be read block by block."""
        *_, total, width = self._file[name].shape
        return Rows(self._file[name], index, (total if first is None else min(first, total), width))

    def part(self, name: str, begin: int, end: int) -> Array:
        """Return rows begin to end, exclusive, of a (rows, width) dataset."""
        return np.asarray(self._file[name][begin:end])

    def vector(self, name: str) -> Array:
        """Return a whole one-dimensional dataset."""
        return np.asarray(self._file[name][()])


_SCORED = ("weights_sha256", "corpus_sha256", "position", "sequences", "dtype", "created")


def score_attributes(here: Attributes, there: Attributes, code: str) -> Attributes:
    """Return the attributes of a score file: the source's own, and which activations it compares.

    code: hash of the comparison's code. The attributes include the times at which the activations
    were written, so that scores are not reused after activations are extracted again.
    Raises StoreError if the two were extracted with different settings.
    """
    for name in ("model", "corpus_sha256", "position", "sequences", "dtype"):
        if here[name] != there[name]:
            raise StoreError(
                f"step {here['step']} has {name} {here[name]}, the reference step "
                f"{there['step']} has {there[name]}; delete the activations of one and run again"
            )
    return {
        **{k: v for k, v in here.items() if k not in _OWN},
        **{f"source_{name}": here[name] for name in _SCORED},
        **{f"reference_{name}": there[name] for name in _SCORED},
        "reference_step": there["step"],
        "comparison_code": code,
    }


def kept_scores(
    path: Path, attributes: Attributes, codes: Mapping[str, str]
) -> dict[str, dict[str, Estimates]]:
    """Return scores in an existing file that are still valid for these activations and code."""
    try:
        old = read_scores(path)
    except StoreError:  # no file, or one of another version
        return {}
    same = [k for k in attributes if k.startswith(("source_", "reference_", "comparison_"))]
    if any(str(old.attributes.get(name)) != str(attributes[name]) for name in same):
        return {}
    return {m: v for m, v in old.metrics.items() if codes.get(m) == old.codes[m]}


def write_scores(path: Path, scores: Scores) -> None:
    """Write scores atomically."""
    with atomic.replacing(path) as partial, h5py.File(partial, "w") as file:
        _write_attributes(file, scores.attributes)
        for metric, components in scores.metrics.items():
            group = file.create_group(metric)
            group.attrs["code"] = scores.codes[metric]
            for component, estimates in components.items():
                _write_estimates(group.create_group(component), estimates)


def _write_estimates(group: h5py.Group, estimates: Estimates) -> None:
    for name, values in vars(estimates).items():
        if name == DRAWS:  # most of the file
            packed = {"chunks": (1, *values.shape[1:]), "compression": "gzip", "shuffle": True}
            group.create_dataset(name, data=values.astype(np.float32), **packed)
        else:
            group.create_dataset(name, data=values.astype(np.float64))


def read_scores(path: Path, draws: bool = True) -> Scores:
    """Read scores, with or without draws; raise StoreError for another schema version."""
    with _opened(path) as file:
        return Scores(
            metrics={
                metric: {name: _estimates(path, group[name], draws) for name in group}
                for metric, group in file.items()
            },
            codes={m: str(group.attrs["code"]) for m, group in file.items()},
            attributes=dict(file.attrs),
        )


def _estimates(path: Path, group: h5py.Group | h5py.Dataset, draws: bool) -> Estimates:
    wanted = [f.name for f in fields(Estimates)]
    missing = [n for n in wanted if isinstance(group, h5py.Dataset) or n not in group]
    if missing:
        raise StoreError(
            f"{path} has scores without {', '.join(missing)}; delete it and run the workflow again"
        )
    read = {name: group[name][()] for name in wanted if draws or name != DRAWS}
    return Estimates(**{DRAWS: np.empty((*read["value"].shape, 0), np.float32), **read})


def read_matrix(path: Path) -> Array:
    """Read a user's 2-D integer matrix of tokens, from .npy or HDF5 (`tokens` or the only one)."""
    try:
        return _matrix(path)
    except (OSError, EOFError, ValueError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"{path} is not a matrix of tokens in .npy or HDF5 ({error}); see `corpus.path`"
        ) from None


def _matrix(path: Path) -> Array:
    if path.suffix == ".npy":
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    with h5py.File(path, "r") as file:
        names = [name for name in file if isinstance(file[name], h5py.Dataset)]
        name = "tokens" if "tokens" in names else names[0] if len(names) == 1 else None
        if name is None:
            raise StoreError(
                f"{path} holds the datasets {', '.join(names) or '(none)'}; expected one, or one "
                f"named 'tokens'"
            )
        return np.asarray(file[name][()])


def _write_attributes(file: h5py.File, attributes: Attributes) -> None:
    written = {
        **attributes,
        "schema_version": SCHEMA_VERSION,
        "code_version": provenance.library_version(),
        "libraries": " ".join(f"{k}={v}" for k, v in provenance.versions().items()),
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    for name in sorted(written):
        file.attrs[name] = written[name]


def _opened(path: Path) -> h5py.File:
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist; run the workflow to make it") from None
    except OSError as error:
        raise StoreError(
            f"{path} is not a complete HDF5 file ({error}); delete it and run the workflow again"
        ) from None
    found = file.attrs.get("schema_version")
    if found != SCHEMA_VERSION:
        file.close()
        raise StoreError(
            f"{path} has schema version {found}, this version of tending reads {SCHEMA_VERSION}; "
            f"delete it and run the workflow again"
        )
    return file
