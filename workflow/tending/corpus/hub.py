"""Token rows of a dataset on the Hugging Face hub: those of a training step, or a range.

The dataset's revision is resolved to a commit once and pinned in a file of the study. Only the
footers and the wanted rows of its Parquet files are read, by range requests.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tending.core import atomic, paths
from tending.corpus import CorpusError, Probe, Wanted, tokens
from tending.hub import client

if TYPE_CHECKING:
    from huggingface_hub import HfFileSystem

    from tending.corpus._parquet import Shard

REQUIRED = ("dataset", "column")
OPTIONAL = ("config", "split", "revision", "rows", "batch")
TOKENIZER = False
ROWS_PER_STEP = 1024  # sequences in a batch of Pythia's training
REVISION = "main"
SPLIT = "train"

Opener = Callable[[str], IO[bytes]]

logger = logging.getLogger("tending")


@dataclass(frozen=True)
class Pin:
    """A dataset, and the commit of its revision when the study first resolved it."""

    dataset: str
    revision: str
    commit: str


def files(corpus: Mapping[str, Any], study: str) -> list[str]:
    """Return the study's pin file of the dataset."""
    return [paths.CORPUS_REVISION.format(study=study)]


def resolve(dataset: str, revision: str, path: Path) -> Pin:
    """Resolve a revision to its commit on the hub, unless `path` holds it, and write it there."""
    if path.exists():
        kept = read_pin(path)
        if (kept.dataset, kept.revision) == (dataset, revision):
            return kept
    pin = Pin(dataset, revision, _commit(dataset, revision))
    atomic.write_text(path, json.dumps(asdict(pin), indent=2) + "\n")
    return pin


def read_pin(path: Path) -> Pin:
    """Read the pin in a file; raise CorpusError if it holds something else."""
    try:
        return Pin(**json.loads(path.read_text("utf-8")))
    except (TypeError, ValueError) as error:
        raise CorpusError(f"{path} is not a pinned revision ({error}); delete it") from None


def probe(files: list[Path], tokenizer: Path | None, wanted: Wanted) -> Probe:
    """Read the first `sequences` rows of the step or range at the pinned commit."""
    from tending.corpus import _parquet

    keys = wanted.keys
    pin, shards = opened(files[0], keys)
    pieces, rows = _pieces(shards, keys, wanted.sequences)
    matrix = _parquet.matrix(pieces, keys["column"], wanted.length)
    probe = tokens.first_rows(matrix, wanted)
    read = list(dict.fromkeys(piece.shard.path for piece in pieces))
    return Probe(probe.tokens, probe.warning, attributes(pin, keys, rows, read))


def opened(pinned: Path, keys: Mapping[str, Any]) -> tuple[Pin, "Iterator[Shard]"]:
    """Return the dataset's pin, and the Parquet files of its config and split at that commit.

    Raises the same errors as `located`.
    """
    from tending.corpus import _parquet

    pin, found, opener = located(pinned, keys)
    return pin, _parquet.shards(found, opener)


def located(pinned: Path, keys: Mapping[str, Any]) -> tuple[Pin, list[str], Opener]:
    """Return the dataset's pin, the paths of its Parquet files, and a function that opens one.

    Raises CorpusError if the pin is of another dataset, its commit is gone, or there is no such
    split; HubError if the hub cannot be read.
    """
    pin = read_pin(pinned)
    if (pin.dataset, pin.revision) != (keys["dataset"], keys.get("revision", REVISION)):
        raise CorpusError(
            f"{pinned} pins {pin.dataset} at {pin.revision}, the study names {keys['dataset']} "
            f"at {keys.get('revision', REVISION)}; delete the file to pin it again"
        )
    _check_commit(pin, pinned)
    system, root = _file_system(), f"datasets/{pin.dataset}@{pin.commit}"
    found = _files(system, root, pin, keys)
    logger.info("%s at %s: %d files in the split", pin.dataset, pin.commit, len(found))
    return pin, found, lambda path: system.open(f"{root}/{path}", cache_type="none")


def parse_rows(text: str) -> tuple[int, int | None]:
    """Parse a range START..STOP or START.. of rows, its end exclusive."""
    start, _, stop = text.partition("..")
    return int(start), int(stop) if stop else None


def _pieces(shards: Any, keys: Mapping[str, Any], count: int) -> tuple[list[Any], str]:
    """Select the wanted rows, and describe them in words."""
    from tending.corpus import _parquet

    column, batch = keys["column"], keys.get("batch")
    if batch and "column" in batch:
        steps, step = batch["column"], batch["step"]
        pieces = _parquet.rows_of_step(shards, column, steps, step, count)
        return pieces, f"the first {count} with {steps} {step}"
    if batch:
        start = batch["step"] * batch.get("rows_per_step", ROWS_PER_STEP)
    else:
        start, _ = parse_rows(keys.get("rows", "0.."))
    return _parquet.rows_from(shards, column, start, count), f"{start}..{start + count}"


def _files(system: "HfFileSystem", root: str, pin: Pin, keys: Mapping[str, Any]) -> list[str]:
    """Return the Parquet files of the config and split, relative to the repository."""
    from huggingface_hub import DatasetCard

    from tending.corpus import _splits

    what = f"dataset {pin.dataset}"
    listing = client.patiently(lambda: system.find(root), what)
    present = [path.removeprefix(f"{root}/") for path in listing]
    card: Mapping[str, Any] = {}
    if "README.md" in present:
        text = client.patiently(lambda: system.cat_file(f"{root}/README.md"), what).decode("utf-8")
        if text.startswith("---"):
            card = {"configs": DatasetCard(text, ignore_metadata_errors=True).data.get("configs")}
    split = keys.get("split", SPLIT)
    try:
        return _splits.split_files(present, card, pin.revision, keys.get("config"), split)
    except CorpusError as error:
        raise CorpusError(f"{what} at {pin.revision}: {error}") from None


def _commit(dataset: str, revision: str) -> str:
    """Return a revision's current commit; HubError if the hub has no such revision or dataset."""
    what = f"dataset {dataset} at {revision} (see `corpus.dataset` and `corpus.revision`)"
    commit = client.patiently(lambda: _sha(dataset, revision), what)
    if commit is None:
        raise CorpusError(f"{what}: the hub names no commit")
    return commit


def _check_commit(pin: Pin, path: Path) -> None:
    """Raise CorpusError, naming the revision's current commit, if the pinned one is gone."""
    from huggingface_hub.errors import RevisionNotFoundError

    def exists() -> bool:
        try:
            _sha(pin.dataset, pin.commit)
        except RevisionNotFoundError:
            return False
        return True

    if client.patiently(exists, f"dataset {pin.dataset}"):
        return
    try:
        now = f"{pin.revision!r} is now {_commit(pin.dataset, pin.revision)}"
    except client.HubError:
        now = f"there is no {pin.revision!r} now"
    raise CorpusError(
        f"dataset {pin.dataset}: the commit {pin.commit} that this study is pinned to no longer "
        f"exists, {now}; these tokens cannot be read again. Delete {path} to pin it again"
    )


def _sha(dataset: str, revision: str) -> str | None:
    from huggingface_hub import constants

    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT  # the client's default is to wait forever
    return client.api().dataset_info(dataset, revision=revision, timeout=timeout).sha


def _file_system() -> "HfFileSystem":
    from huggingface_hub import HfFileSystem

    api = client.api()
    return HfFileSystem(endpoint=api.endpoint, token=api.token)


def attributes(pin: Pin, keys: Mapping[str, Any], rows: str, files: list[str]) -> dict[str, str]:
    """Return the attributes by which the token file records its origin."""
    return {
        **asdict(pin),
        "config": keys.get("config", ""),
        "split": keys.get("split", SPLIT),
        "column": keys["column"],
        "rows": rows,
        "files": " ".join(files),
    }
