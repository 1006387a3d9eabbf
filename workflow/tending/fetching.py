"""Weights from the hub: fetched whole and checked, kept while a stage needs them, then deleted."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from filelock import FileLock

from tending import atomic, hub, inspection, paths
from tending.hub import HubError
from tending.inspection import Checkpoint
from tending.pins import File, Pins, Revision
from tending.weights import FORMATS

PINNED = ".pinned.json"  # in a folder of weights: which commit it holds
GIB = 2**30

Progress = Callable[[int], object]


def fetch(repository: str, revision: Revision, folder: Path, progress: Progress) -> list[str]:
    """Bring the config and the weights of a pinned revision into `folder`; names of the files.

    A whole folder of the same commit is left as it is. Files grow in a folder beside it, which
    takes the name when all are there and checked, so that what has it is whole; an interrupted
    download goes on from there. progress(bytes) is called after every file. Raises HubError.
    """
    marker = folder / PINNED
    if marker.exists() and json.loads(marker.read_text("utf-8"))["commit"] == revision.commit:
        return sorted(json.loads(marker.read_text("utf-8"))["files"])
    incoming = folder.with_name(f"{folder.name}.incoming")
    incoming.mkdir(parents=True, exist_ok=True)
    names = _needed(repository, revision, incoming)
    _check_space(repository, revision, incoming, names)
    for name in names:
        hub.download(repository, revision.commit, name, revision.files[name], incoming / name)
        progress(revision.files[name].size)
    described = {"commit": revision.commit, "files": names}
    atomic.write_text(incoming / PINNED, json.dumps(described))
    shutil.rmtree(folder, ignore_errors=True)
    incoming.rename(folder)
    return names


def _needed(repository: str, revision: Revision, incoming: Path) -> list[str]:
    """config.json and the weights in one format, safetensors before .bin, shards by their index."""
    there = revision.files
    for single, index in FORMATS:
        if single in there:
            return ["config.json", single]
        if index in there:
            hub.download(repository, revision.commit, index, there[index], incoming / index)
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


def lock(study: str, model: str, step: int) -> FileLock:
    """The lock of one checkpoint's weights: who fetches, uses for the last time, or deletes."""
    path = Path(paths.WEIGHTS_LOCK.format(study=study, model=model, step=step))
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def arrived(
    repository: str, revision: Revision, model: str, step: int, study: str, progress: Progress
) -> Checkpoint:
    """Fetch a checkpoint and inspect it; its record says how to fetch it again."""
    folder = Path(paths.WEIGHTS.format(study=study, model=model, step=step))
    with lock(study, model, step):
        names = fetch(repository, revision, folder, progress)
        record = inspection.inspect(folder, model, step, revision.name, revision.commit)
    return replace(
        record, repository=repository, fetched={n: asdict(revision.files[n]) for n in names}
    )


def tokenizer(pinned: Pins, commit: str, folder: Path) -> Path:
    """tokenizer.json of the revision at `commit`, or else of main, brought into `folder`.

    Raises HubError if neither holds one.
    """
    revisions = [r for r in pinned.revisions.values() if r.commit == commit]
    for revision in [*revisions, *([pinned.main] if pinned.main else [])]:
        if "tokenizer.json" in revision.files:
            file = folder / "tokenizer.json"
            expected = revision.files[file.name]
            hub.download(pinned.repository, revision.commit, file.name, expected, file)
            return file
    raise HubError(
        f"{pinned.repository} has no tokenizer.json at {commit[:10]} or main; name a tokenizer "
        f"in `corpus.tokenizer`"
    )


@contextmanager
def weights(record: Checkpoint, study: str, keep: bool = False) -> Iterator[None]:
    """Have a checkpoint's weights in its folder while the block runs.

    Weights from elsewhere than the hub are just there. Those of the hub are fetched again if they
    are gone, and deleted after the block when everything that is made from them exists, unless
    `keep` says otherwise. If the block fails they stay, for the next run.
    """
    if not record.repository:
        yield
        return
    guard = lock(study, record.model, record.step)
    with guard:
        files = {name: File(**fields) for name, fields in record.fetched.items()}
        fetch(
            record.repository,
            Revision(record.revision, record.commit, files),
            Path(record.folder),
            lambda _: None,
        )
    yield
    with guard:
        if not keep and all(product.exists() for product in products(record, study)):
            delete(Path(record.folder))


def products(record: Checkpoint, study: str) -> list[Path]:
    """The files that are made from a checkpoint's weights."""
    return [
        Path(pattern.format(study=study, model=record.model, step=record.step))
        for pattern in paths.WEIGHT_PRODUCTS
    ]


def delete(folder: Path) -> None:
    """Delete a folder of weights, and the model's folder if it was the last one."""
    doomed = folder.with_name(f"{folder.name}.deleted")
    if folder.exists():
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()
    logging.info("%s is no longer needed and deleted", folder)
