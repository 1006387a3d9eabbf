"""Weights from the hub: fetched and verified, kept while a stage needs them, then deleted."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from tending.core import atomic
from tending.core.aliases import Progress
from tending.hub import downloads, weight_shelf
from tending.hub.client import HubError
from tending.hub.pins import File, Pins, Revision
from tending.hub.weight_shelf import Claim, Entry
from tending.models import checkpoint_record
from tending.models.checkpoint_record import Checkpoint
from tending.models.weights import FORMATS

PINNED = ".pinned.json"  # in a folder of weights: its commit and files
GIB = 2**30


def fetch(repository: str, revision: Revision, folder: Path, progress: Progress) -> list[str]:
    """Download config and weights of a pinned revision into `folder`; return the files' names.

    A complete folder of the same commit is left as it is, one of another commit is deleted. Files
    are downloaded into a folder beside it, which is renamed when all of them are verified, so that
    `folder` is always complete; an interrupted download resumes. progress(bytes) is called with
    the number of bytes received. Raises HubError.
    """
    present = _present(folder, revision.commit)
    if present:
        return present
    shutil.rmtree(folder, ignore_errors=True)  # or two copies would take space
    logging.info("fetching %s of %s at %s", revision.name, repository, revision.commit)
    incoming = folder.with_name(f"{folder.name}.incoming")
    incoming.mkdir(parents=True, exist_ok=True)
    names = _needed(repository, revision, incoming)
    _check_space(repository, revision, incoming, names)
    for name in names:
        expected = revision.files[name]
        downloads.download(repository, revision.commit, name, expected, incoming / name, progress)
    for stale in [path for path in incoming.iterdir() if path.name not in names]:
        stale.unlink()  # left from fetching another commit
    described = {"commit": revision.commit, "files": names}
    atomic.write_text(incoming / PINNED, json.dumps(described))
    incoming.rename(folder)
    return names


def _present(folder: Path, commit: str) -> list[str]:
    """Return the files' names if the folder holds this commit completely, or nothing."""
    marker = folder / PINNED
    if not marker.exists():
        return []
    described = json.loads(marker.read_text("utf-8"))
    there = all((folder / name).exists() for name in described["files"])  # links may dangle
    return sorted(described["files"]) if there and described["commit"] == commit else []


def _needed(repository: str, revision: Revision, incoming: Path) -> list[str]:
    """List config.json and the weights in one format, safetensors before .bin, shards by index."""
    there = revision.files
    for single, index in FORMATS:
        if single in there:
            return ["config.json", single]
        if index in there:
            downloads.download(repository, revision.commit, index, there[index], incoming / index)
            shards = sorted(
                set(json.loads((incoming / index).read_text("utf-8"))["weight_map"].values())
            )
            missing = [shard for shard in shards if shard not in there]
            if missing:
                raise HubError(
                    f"{repository}, {revision.name}: {len(missing)} of {len(shards)} shards named "
                    f"in {index} are not on the hub: {', '.join(missing)}; leave this step out"
                )
            return ["config.json", index, *shards]
    raise HubError(
        f"{repository}, {revision.name}: holds no weights that can be read, only "
        f"{', '.join(revision.weights())}; leave this step out"
    )


def _check_space(repository: str, revision: Revision, incoming: Path, names: list[str]) -> None:
    missing = sum(revision.files[n].size for n in names if not (incoming / n).exists())
    missing -= sum(p.stat().st_size for p in incoming.glob(".*.partial"))
    free = shutil.disk_usage(incoming).free
    if missing > free:
        raise HubError(
            f"{repository}, {revision.name}: {missing / GIB:.2f} GiB to download, "
            f"{free / GIB:.2f} GiB free in {incoming.parent}; free some space and run again"
        )


def arrived(
    repository: str,
    revision: Revision,
    entry: Entry,
    progress: Progress,
    keep: bool = False,
    first: bool = False,
) -> Checkpoint:
    """Fetch a checkpoint, once there is room, and inspect it; its record allows fetching it again.

    keep: the study keeps its weights, so their number has no limit; first: other jobs wait for
    this one. Raises HubError, and InterruptedError if the run ends before there is room.
    """
    claim = Claim(None if keep else weight_shelf.limit(), patient=True, first=first)
    with _there(repository, revision, entry, claim, progress):
        names = _present(entry.folder, revision.commit)
        record = checkpoint_record.inspect(
            entry.folder, entry.model, entry.step, revision.name, revision.commit
        )
    return replace(
        record, repository=repository, fetched={n: asdict(revision.files[n]) for n in names}
    )


def _there(
    repository: str, revision: Revision, entry: Entry, claim: Claim, progress: Progress
) -> AbstractContextManager[None]:
    """Keep a pinned revision complete on the shelf while the block runs."""
    return weight_shelf.using(
        entry,
        claim,
        whole=lambda: bool(_present(entry.folder, revision.commit)),
        fill=lambda: fetch(repository, revision, entry.folder, progress),
    )


def tokenizer(pinned: Pins, digest: str, folder: Path) -> Path:
    """Download the tokenizer.json with this hash, from any pinned revision, into `folder`.

    Raises HubError if none holds it.
    """
    file = folder / "tokenizer.json"
    for revision in [*pinned.revisions.values(), *([pinned.main] if pinned.main else [])]:
        expected = revision.files.get(file.name)
        if expected and digest == (expected.sha256 or expected.blob):
            downloads.download(pinned.repository, revision.commit, file.name, expected, file)
            return file
    raise HubError(
        f"{pinned.repository} has no tokenizer.json, neither at the last step nor on main; name a "
        f"tokenizer in `corpus.tokenizer`"
    )


@contextmanager
def weights(
    record: Checkpoint, study: str, keep: bool = False, progress: Progress = lambda _: None
) -> Iterator[None]:
    """Keep a checkpoint's weights in its folder while the block runs.

    Weights that are not from the hub are always there. Those from the hub are fetched again if
    they are missing, and deleted after the block once this run needs them no more, unless `keep`
    is set. If the block fails they stay, for the next run or until others need the space.
    """
    if not record.repository:
        yield
        return
    files = {name: File(**fields) for name, fields in record.fetched.items()}
    revision = Revision(record.revision, record.commit, files)
    entry = Entry(study, record.model, record.step)
    claim = Claim(None if keep else weight_shelf.limit())
    with _there(record.repository, revision, entry, claim, progress):
        yield
    if not keep:
        weight_shelf.discard(entry)
