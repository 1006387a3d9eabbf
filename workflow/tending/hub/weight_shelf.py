"""The shelf of downloaded checkpoints: how many may exist, which are in use, which to delete.

Every checkpoint has a lock: jobs share it while they use the checkpoint, and a job that fills or
deletes it holds it exclusively. The shelf has a lock too, held only briefly, to reserve or release
a slot. The system releases both when the process ends, however it ends. Standard library only.
"""

import fcntl
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tending.core import paths
from tending.hub import run_watch, weight_products

LIMIT_VARIABLE = "TENDING_LIVE_CHECKPOINTS"  # passes the limit to jobs
PER_GPU = 2  # one in use, one being fetched
POLL_SECONDS = 0.5
IDLE_SECONDS = 10.0  # longer than a job takes from its start to its use of weights
STUCK_SECONDS = 120.0  # longer than a scheduler takes to see that a job is done
TOLD_SECONDS = 600.0

_NAME = re.compile(r"step(\d+)(?:\.incoming|\.deleted)?")


@dataclass(frozen=True, order=True)
class Entry:
    """A checkpoint, on the shelf or not."""

    study: str
    model: str
    step: int

    @property
    def folder(self) -> Path:
        """The folder of its complete weights."""
        return Path(paths.WEIGHTS.format(study=self.study, model=self.model, step=self.step))

    @property
    def incoming(self) -> Path:
        """The folder of weights that are being fetched; it also reserves the checkpoint's slot."""
        return self.folder.with_name(f"{self.folder.name}.incoming")

    @property
    def deleted(self) -> Path:
        """The folder of weights that are being deleted."""
        return self.folder.with_name(f"{self.folder.name}.deleted")

    @property
    def lock(self) -> Path:
        return Path(paths.WEIGHTS_LOCK.format(study=self.study, model=self.model, step=self.step))

    def __str__(self) -> str:
        return f"{self.model} at step {self.step}"


@dataclass
class Claim:
    """A job's request for a slot on the shelf.

    bound: how many checkpoints there may be; None for any number. patient: whether the job waits
    until a checkpoint is no longer needed, as one does that occupies nothing others need. A job
    that occupies a core or a GPU waits while any checkpoint is in use, and then replaces one that
    is still needed, although that must be fetched again: the job that needs it may be waiting for
    this core. first: whether other jobs wait for this one.
    """

    bound: int | None
    patient: bool = False
    first: bool = False
    scene: list[Entry] | None = None  # checkpoints that were idle at the last look, and since when
    since: float = field(default_factory=time.monotonic)


def announce(asked: int | None, gpus: int | None) -> None:
    """Set the limit on checkpoints for the jobs of this run.

    It is passed in the environment: as a parameter of jobs it would cause reruns.
    """
    os.environ[LIMIT_VARIABLE] = str(places(asked, gpus))


def places(asked: int | None, gpus: int | None) -> int:
    """Return how many checkpoints there may be: as configured, else PER_GPU for every GPU."""
    return asked or PER_GPU * (gpus or 1)


def limit() -> int:
    """Return how many checkpoints there may be, as set by the run."""
    return int(os.environ.get(LIMIT_VARIABLE, PER_GPU))


def entries(study: str) -> list[Entry]:
    """List all checkpoints on the shelf: complete, being fetched, or not fully deleted."""
    root = Path(paths.WEIGHTS.format(study=study, model="", step="")).parent
    named = ((path.parent.name, _NAME.fullmatch(path.name)) for path in root.glob("[!.]*/step*"))
    return sorted({Entry(study, model, int(name[1])) for model, name in named if name})


@contextmanager
def using(
    entry: Entry, claim: Claim, whole: Callable[[], bool], fill: Callable[[], object]
) -> Iterator[None]:
    """Keep a checkpoint on the shelf while the block runs, safe from deletion.

    whole() returns whether it is there and complete; fill() fetches it, once there is room.
    Raises InterruptedError if the run ends before there is room.
    """
    held, there = _taken(entry, claim, whole)
    with held:
        if not there:
            fill()
            with _shelf(entry.study):  # otherwise another job could take it between the two locks
                fcntl.flock(held, fcntl.LOCK_SH)
        try:
            yield
        finally:
            os.utime(held.fileno())  # record the time of its last use


def discard(entry: Entry) -> None:
    """Delete a checkpoint after use, unless another job uses it or a product still needs it."""
    with _shelf(entry.study):
        if weight_products.all_made(entry.study, entry.model, entry.step):
            _evicted(entry)


def trim(study: str, bound: int) -> None:
    """Finish interrupted deletions before a run, and delete checkpoints beyond the limit."""
    with _shelf(study):
        there = entries(study)
        _down_to(bound, there, _by_use(there))
        for entry in entries(study):
            shutil.rmtree(entry.deleted, ignore_errors=True)


def sweep(
    study: str,
    planned: Collection[tuple[str, int]],
    patterns: Collection[str] = paths.WEIGHT_PRODUCTS,
) -> None:
    """Delete leftovers of killed jobs and dropped steps, at the end of a successful run.

    planned: model and step of every checkpoint of the study; patterns: paths of the products of
    weights. Planned weights that a product still needs stay, even if only partly fetched, and so
    do all that another process holds.
    """
    root = Path(paths.WEIGHTS.format(study=study, model="", step="")).parent
    for entry in entries(study):
        made = (Path(p.format(study=study, model=entry.model, step=entry.step)) for p in patterns)
        kept = (entry.model, entry.step) in planned
        if not kept or all(product.exists() for product in made):
            with _shelf(study):
                _evicted(entry)
    if not entries(study):
        shutil.rmtree(root, ignore_errors=True)  # the locks, and the note of awaited products


def _taken(entry: Entry, claim: Claim, whole: Callable[[], bool]) -> tuple[IO[str], bool]:
    """Return a checkpoint's lock, shared if it is complete, else exclusive and with a slot."""
    told = None
    while True:
        with _shelf(entry.study):
            held = _locked(entry.lock, fcntl.LOCK_SH)
            if held and whole():
                return held, True
            if held:
                held.close()
            held = _locked(entry.lock, fcntl.LOCK_EX)
            if held and _room(entry, claim):
                entry.incoming.mkdir(parents=True, exist_ok=True)
                return held, False
            if held:
                held.close()
            there = entries(entry.study)
        if told is None or time.monotonic() - told > TOLD_SECONDS:
            told = time.monotonic()
            names = ", ".join(map(str, there))
            logging.info("%s waits for room (limit %s); on disk: %s", entry, claim.bound, names)
        time.sleep(POLL_SECONDS)


def _room(entry: Entry, claim: Claim) -> bool:
    """Whether there is room for a checkpoint, or room could be made."""
    others = [other for other in entries(entry.study) if other != entry]
    if claim.bound is None:
        return True
    run = run_watch.seen(entry.study)
    if claim.patient and run.state == run_watch.ENDING:
        raise InterruptedError(f"{entry} is not fetched: the run is ending; run again to go on")
    bound, stuck = claim.bound, _stuck(run, others, claim)
    own = (entry.study, entry.model, entry.step)
    if claim.patient and not (claim.first or stuck) and weight_products.waits_for_reference(*own):
        bound -= 1  # its weights will stay until the reference has been processed
    spare = [other for other in others if _spare(other, run.given_up)]
    if stuck and len(others) >= bound:
        logging.info("no job uses the downloaded weights; deleting the least recently used")
    return _down_to(bound - 1, others, _by_use(others) if stuck else spare)


def _stuck(run: run_watch.Run, others: list[Entry], claim: Claim) -> bool:
    """Whether no checkpoint was used for a while, and no other job could free one first."""
    quiet = _idle(others) and (run.state == run_watch.FETCHING or not claim.patient)
    if not quiet or others != claim.scene:
        claim.scene, claim.since = others if quiet else None, time.monotonic()
    wanted = STUCK_SECONDS if claim.patient else IDLE_SECONDS
    return quiet and time.monotonic() - claim.since >= wanted


def _down_to(count: int, there: list[Entry], order: Iterable[Entry]) -> bool:
    """Delete checkpoints that are not in use, in this order, until at most `count` are left."""
    left = len(there)
    for entry in order:
        if left <= count:
            break
        left -= _evicted(entry)
    return left <= count


def _by_use(there: list[Entry]) -> list[Entry]:
    """Sort for deletion: those no longer needed first, then the least recently used."""

    def last(entry: Entry) -> tuple[bool, float]:
        return not _spare(entry), entry.lock.stat().st_mtime if entry.lock.exists() else 0.0

    return sorted(there, key=last)


def _spare(entry: Entry, given_up: Collection[str] = ()) -> bool:
    """Whether this run no longer needs the checkpoint's weights, or there are none."""
    own = (entry.study, entry.model, entry.step)
    lies = entry.folder.exists() or entry.incoming.exists()
    return not lies or weight_products.all_made(*own, given_up)


def _idle(there: list[Entry]) -> bool:
    held = [_locked(entry.lock, fcntl.LOCK_EX) for entry in there]
    for file in held:
        if file:
            file.close()
    return all(held)


def _evicted(entry: Entry) -> bool:
    """Delete a checkpoint, and its model's folder with the last; return False if in use."""
    held = _locked(entry.lock, fcntl.LOCK_EX)
    if held is None:
        return False
    with held:
        shutil.rmtree(entry.deleted, ignore_errors=True)  # left by a job that was killed here
        if entry.folder.exists():
            entry.folder.rename(entry.deleted)
        for path in (entry.incoming, entry.deleted):
            shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):  # it holds other checkpoints
            entry.folder.parent.rmdir()
        logging.info("deleted the weights of %s", entry)
    return not (entry.incoming.exists() or entry.deleted.exists())


@contextmanager
def _shelf(study: str) -> Iterator[None]:
    path = Path(paths.WEIGHTS_SHELF_LOCK.format(study=study))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _locked(path: Path, kind: int) -> IO[str] | None:
    """Return the locked file, which the caller closes, or None if another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")  # NFS: reading for shared locks, writing for exclusive ones
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
