"""The shelf of downloaded checkpoints: how many there are at a time, who uses them, which goes.

Every checkpoint has a lock, which jobs share while they use it and which who fills or deletes it
has alone. The shelf has one too, held for moments, under which a checkpoint gets a place or loses
it. The system lets go of both with the process, however that ends. Standard library only.
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

LIMIT_VARIABLE = "TENDING_LIVE_CHECKPOINTS"  # for jobs: how many there may be
PER_GPU = 2  # one in use, one on its way
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
        """Where its weights are when they are whole."""
        return Path(paths.WEIGHTS.format(study=self.study, model=self.model, step=self.step))

    @property
    def incoming(self) -> Path:
        """Where they are before; the folder also says that the checkpoint has its place."""
        return self.folder.with_name(f"{self.folder.name}.incoming")

    @property
    def deleted(self) -> Path:
        """Where they are while they are deleted."""
        return self.folder.with_name(f"{self.folder.name}.deleted")

    @property
    def lock(self) -> Path:
        return Path(paths.WEIGHTS_LOCK.format(study=self.study, model=self.model, step=self.step))

    def __str__(self) -> str:
        return f"{self.model} at step {self.step}"


@dataclass
class Claim:
    """What a job wants of the shelf.

    bound: how many checkpoints there may be; None for any number. patient: whether it waits until
    one is no longer needed, as a job does that holds nothing others need. One that holds a core or
    a GPU waits while any is used, and then takes the place of one that is still needed, though that
    will be fetched again: who would use it may be waiting for this core. first: whether others wait
    for this one.
    """

    bound: int | None
    patient: bool = False
    first: bool = False
    scene: list[Entry] | None = None  # what lay there unused when it looked last, and since when
    since: float = field(default_factory=time.monotonic)


def announce(asked: int | None, gpus: int | None) -> None:
    """Tell the jobs of this run how many checkpoints there may be.

    Through the environment: as a parameter of jobs it would have them made again.
    """
    os.environ[LIMIT_VARIABLE] = str(places(asked, gpus))


def places(asked: int | None, gpus: int | None) -> int:
    """How many checkpoints there may be: as the config asks, else PER_GPU for every GPU."""
    return asked or PER_GPU * (gpus or 1)


def limit() -> int:
    """How many checkpoints there may be, as the run says."""
    return int(os.environ.get(LIMIT_VARIABLE, PER_GPU))


def entries(study: str) -> list[Entry]:
    """All that is on the shelf: whole, on its way, or not wholly deleted yet."""
    root = Path(paths.WEIGHTS.format(study=study, model="", step="")).parent
    named = ((path.parent.name, _NAME.fullmatch(path.name)) for path in root.glob("[!.]*/step*"))
    return sorted({Entry(study, model, int(name[1])) for model, name in named if name})


@contextmanager
def using(
    entry: Entry, claim: Claim, whole: Callable[[], bool], fill: Callable[[], object]
) -> Iterator[None]:
    """Have a checkpoint on the shelf while the block runs: nobody deletes it meanwhile.

    whole() says whether it is there as it should be; fill() fetches it, once there is room.
    Raises InterruptedError if the run ends before there is any.
    """
    held, there = _taken(entry, claim, whole)
    with held:
        if not there:
            fill()
            with _shelf(entry.study):  # else somebody could take it between the two locks
                fcntl.flock(held, fcntl.LOCK_SH)
        try:
            yield
        finally:
            os.utime(held.fileno())  # when it was used last


def discard(entry: Entry) -> None:
    """Delete a checkpoint that was used, unless it is used or something is still made from it."""
    with _shelf(entry.study):
        if weight_products.all_made(entry.study, entry.model, entry.step):
            _evicted(entry)


def trim(study: str, bound: int) -> None:
    """Before a run: finish deletions that were cut off, and keep no more than there may be."""
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
    """Delete, at the end of a good run, what killed jobs and dropped steps have left behind.

    planned: model and step of every checkpoint of the study; patterns: of what it makes from
    weights. Weights of these from which something is still to be made stay, half-fetched ones too,
    and whatever another process holds.
    """
    root = Path(paths.WEIGHTS.format(study=study, model="", step="")).parent
    for entry in entries(study):
        made = (Path(p.format(study=study, model=entry.model, step=entry.step)) for p in patterns)
        kept = (entry.model, entry.step) in planned
        if not kept or all(product.exists() for product in made):
            with _shelf(study):
                _evicted(entry)
    if not entries(study):
        shutil.rmtree(root, ignore_errors=True)  # the locks, and the note of what was awaited


def _taken(entry: Entry, claim: Claim, whole: Callable[[], bool]) -> tuple[IO[str], bool]:
    """A checkpoint's lock, and whether it is whole; if so shared, else alone, with a place."""
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
            logging.info("%s waits for room; downloaded, %s allowed: %s", entry, claim.bound, names)
        time.sleep(POLL_SECONDS)


def _room(entry: Entry, claim: Claim) -> bool:
    """Whether there is room for a checkpoint, or could be made."""
    others = [other for other in entries(entry.study) if other != entry]
    if claim.bound is None:
        return True
    run = run_watch.seen(entry.study)
    if claim.patient and run.state == run_watch.ENDING:
        raise InterruptedError(f"{entry} is not fetched: the run is ending; run again to go on")
    bound, stuck = claim.bound, _stuck(run, others, claim)
    own = (entry.study, entry.model, entry.step)
    if claim.patient and not (claim.first or stuck) and weight_products.waits_for_reference(*own):
        bound -= 1  # its weights will stay until the reference has been here
    spare = [other for other in others if _spare(other, run.given_up)]
    if stuck and len(others) >= bound:
        logging.info("no job uses any weights that are here; those used longest ago make room")
    return _down_to(bound - 1, others, _by_use(others) if stuck else spare)


def _stuck(run: run_watch.Run, others: list[Entry], claim: Claim) -> bool:
    """Whether nobody has used what is there for a while, and nobody may come before this job."""
    quiet = _idle(others) and (run.state == run_watch.FETCHING or not claim.patient)
    if not quiet or others != claim.scene:
        claim.scene, claim.since = others if quiet else None, time.monotonic()
    wanted = STUCK_SECONDS if claim.patient else IDLE_SECONDS
    return quiet and time.monotonic() - claim.since >= wanted


def _down_to(count: int, there: list[Entry], order: Iterable[Entry]) -> bool:
    """Delete in this order what is not in use, until no more than `count` are left."""
    left = len(there)
    for entry in order:
        if left <= count:
            break
        left -= _evicted(entry)
    return left <= count


def _by_use(there: list[Entry]) -> list[Entry]:
    """What nobody needs first, then what was used longest ago."""

    def last(entry: Entry) -> tuple[bool, float]:
        return not _spare(entry), entry.lock.stat().st_mtime if entry.lock.exists() else 0.0

    return sorted(there, key=last)


def _spare(entry: Entry, given_up: Collection[str] = ()) -> bool:
    """Whether this run makes nothing more of what lies there."""
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
    """Delete a checkpoint, and its model's folder with the last one; False if it is in use."""
    held = _locked(entry.lock, fcntl.LOCK_EX)
    if held is None:
        return False
    with held:
        shutil.rmtree(entry.deleted, ignore_errors=True)  # of a job that was killed here
        if entry.folder.exists():
            entry.folder.rename(entry.deleted)
        for path in (entry.incoming, entry.deleted):
            shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):  # others are in it
            entry.folder.parent.rmdir()
        logging.info("weights of %s are deleted", entry)
    return not (entry.incoming.exists() or entry.deleted.exists())


@contextmanager
def _shelf(study: str) -> Iterator[None]:
    path = Path(paths.WEIGHTS_SHELF_LOCK.format(study=study))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _locked(path: Path, kind: int) -> IO[str] | None:
    """The open file with its lock, to be closed, or None where another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")  # NFS wants both: to read for a shared lock, to write for the other
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
