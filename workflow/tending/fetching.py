"""Weights from the hub: fetched whole and checked, kept while a stage needs them, then deleted."""

import json
import logging
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from tending import atomic, downloads, inspection, paths
from tending.downloads import Progress
from tending.hub import HubError
from tending.inspection import Checkpoint
from tending.pins import File, Pins, Revision
from tending.weights import FORMATS

PINNED = ".pinned.json"  # in a folder of weights: which commit it holds
GIB = 2**30


def fetch(repository: str, revision: Revision, folder: Path, progress: Progress) -> list[str]:
    """Bring the config and the weights of a pinned revision into `folder`; names of the files.

    A whole folder of the same commit is left as it is. Files grow in a folder beside it, which
    takes the name when all are there and checked, so that what has it is whole; an interrupted
    download goes on from there. progress(bytes) is called with what arrives. Raises HubError.
    """
    present = _present(folder, revision.commit)
    if present:
        return present
    logging.info("fetching %s of %s at %s", revision.name, repository, revision.commit)
    incoming = folder.with_name(f"{folder.name}.incoming")
    incoming.mkdir(parents=True, exist_ok=True)
    names = _needed(repository, revision, incoming)
    _check_space(repository, revision, incoming, names)
    for name in names:
        expected = revision.files[name]
        downloads.download(repository, revision.commit, name, expected, incoming / name, progress)
    for stale in [path for path in incoming.iterdir() if path.name not in names]:
        stale.unlink()  # of a commit that was fetched here before and is not any more
    described = {"commit": revision.commit, "files": names}
    atomic.write_text(incoming / PINNED, json.dumps(described))
    shutil.rmtree(folder, ignore_errors=True)
    incoming.rename(folder)
    return names


def _present(folder: Path, commit: str) -> list[str]:
    """Names of the files in a whole folder of this commit, or nothing."""
    marker = folder / PINNED
    if not marker.exists():
        return []
    described = json.loads(marker.read_text("utf-8"))
    there = all((folder / name).exists() for name in described["files"])  # links may lead nowhere
    return sorted(described["files"]) if there and described["commit"] == commit else []


def _needed(repository: str, revision: Revision, incoming: Path) -> list[str]:
    """config.json and the weights in one format, safetensors before .bin, shards by their index."""
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


def tokenizer(pinned: Pins, digest: str, folder: Path) -> Path:
    """The tokenizer.json with this hash, from any pinned revision, brought into `folder`.

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
    """Have a checkpoint's weights in its folder while the block runs.

    Weights from elsewhere than the hub are just there. Those of the hub are fetched again if they
    are gone, and deleted after the block when nothing more is made from them in this run, unless
    `keep` says otherwise. If the block fails they stay, for the next run.
    """
    if not record.repository:
        yield
        return
    guard = lock(study, record.model, record.step)
    with guard:
        files = {name: File(**fields) for name, fields in record.fetched.items()}
        revision = Revision(record.revision, record.commit, files)
        fetch(record.repository, revision, Path(record.folder), progress)
    yield
    with guard:
        if not keep and all(is_made(product, study) for product in products(record, study)):
            delete(Path(record.folder))


def await_products(study: str, planned: Iterable[str]) -> None:
    """Note, when a run starts, which products of weights it is going to make.

    One that is planned counts as made only when it is newer than this note: a product of earlier
    settings still lies there until its job starts. Without a note, what exists is made.
    """
    note = Path(paths.WEIGHTS_AWAITED.format(study=study))
    atomic.write_text(note, json.dumps(sorted(planned)))
    _awaited.cache_clear()


def is_made(product: Path, study: str) -> bool:
    """Whether nothing more has to be done for a product of weights in this run."""
    note = Path(paths.WEIGHTS_AWAITED.format(study=study))
    if not note.exists():
        return product.exists()
    written = note.stat().st_mtime_ns
    if str(product) not in _awaited(note, written):
        return True
    return product.exists() and product.stat().st_mtime_ns > written


@cache
def _awaited(note: Path, written: int) -> frozenset[str]:
    return frozenset(json.loads(note.read_text("utf-8")))


def sweep(
    study: str,
    planned: Collection[tuple[str, int]],
    patterns: Collection[str] = paths.WEIGHT_PRODUCTS,
) -> None:
    """Delete, at the end of a good run, what killed jobs and dropped steps have left behind.

    planned: model and step of every checkpoint of the study; patterns: of what it makes from
    weights. Weights of these from which something is still to be made stay, half-fetched ones too,
    and whatever another process holds.
    """
    root = Path(paths.WEIGHTS.format(study=study, model="", step="")).parent
    for folder in sorted(root.glob("*/step*")):
        model, name = folder.parent.name, folder.name.removeprefix("step").split(".")[0]
        made = (Path(p.format(study=study, model=model, step=name)) for p in patterns)
        if (model, int(name)) in planned and not all(product.exists() for product in made):
            continue
        with suppress(Timeout), lock(study, model, int(name)).acquire(blocking=False):
            delete(folder)
    if not any(root.glob("*/step*")):
        shutil.rmtree(root, ignore_errors=True)  # the locks, and the note of what was awaited


def products(record: Checkpoint, study: str) -> list[Path]:
    """The files that are made from a checkpoint's weights, as far as it is known what is asked."""
    noted = Path(paths.WEIGHTS_AWAITED.format(study=study)).exists()
    patterns = [*paths.WEIGHT_PRODUCTS, *(paths.ASKED_WEIGHT_PRODUCTS if noted else ())]
    own = {"study": study, "model": record.model, "step": record.step}
    return [Path(pattern.format(**own)) for pattern in patterns]


def delete(folder: Path) -> None:
    """Delete a folder of weights, and the model's folder if it was the last one."""
    doomed = folder.with_name(f"{folder.name}.deleted")
    shutil.rmtree(doomed, ignore_errors=True)  # of a job that was killed here
    if folder.exists():
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
    with suppress(OSError):  # others are in it, perhaps since a moment ago
        folder.parent.rmdir()
    logging.info("%s is no longer needed and deleted", folder)
