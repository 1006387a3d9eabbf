"""The shelf of downloaded checkpoints, with real locks: who gets a place, who waits, who goes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tending.core import paths
from tending.hub import weight_products, weight_shelf
from tending.hub.run_watch import ENDING, FETCHING, WORKING, Run, Watch
from tending.hub.weight_shelf import Claim, Entry

LIBRARY = Path(weight_shelf.__file__).parents[2]
JOB = """
import logging, signal, sys
from tending.hub import weight_shelf

signal.alarm(60)  # a test that waits for what never happens fails
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s", force=True)
weight_shelf.POLL_SECONDS, weight_shelf.IDLE_SECONDS = 0.002, 0.0
entry, patient = weight_shelf.Entry("s", "m", int(sys.argv[1])), sys.argv[3] == "fetch"

def fill():
    (entry.incoming / "weights").touch()
    entry.incoming.rename(entry.folder)

claim = weight_shelf.Claim(int(sys.argv[2]), patient)
with weight_shelf.using(entry, claim, entry.folder.exists, fill):
    print("in use", flush=True)
    sys.stdin.read()
if not patient:
    weight_shelf.discard(entry)
"""


class Waits(Exception):  # noqa: N818
    """Raised where a job would wait."""


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and jobs that fail instead of waiting."""
    monkeypatch.chdir(tmp_path)

    def refuse(_: float) -> None:
        raise Waits

    monkeypatch.setattr(
        weight_shelf, "time", SimpleNamespace(sleep=refuse, monotonic=time.monotonic)
    )
    monkeypatch.setattr(weight_shelf, "IDLE_SECONDS", 0.0)


class Job:
    """A process that uses a checkpoint until it is told to end; `fetch` or `consumer`."""

    def __init__(self, step: int, bound: int, kind: str) -> None:
        self.step = step
        command = [sys.executable, "-c", JOB, str(step), str(bound), kind]
        environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def until(self, *said: str) -> str:
        """Which of these it says first."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            for words in said:
                if words in line:
                    return words
        raise AssertionError(f"the job ended without saying any of {said}")

    def end(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=20) == 0
        self.process.stdout.close()

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=20)


@pytest.fixture
def job() -> Iterator[Callable[..., Job]]:
    """A function that starts a process; those that are left are killed."""
    started: list[Job] = []

    def start(step: int, bound: int, kind: str) -> Job:
        started.append(Job(step, bound, kind))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()
        for stream in (one.process.stdin, one.process.stdout):
            if stream:
                stream.close()


def entry(step: int, model: str = "m", study: str = "s") -> Entry:
    return Entry(study, model, step)


def put(*steps: int, whole: bool = True) -> None:
    """Lay checkpoints there, nobody using them, each used later than the one before."""
    for age, step in enumerate(steps):
        one = entry(step)
        (one.folder if whole else one.incoming).mkdir(parents=True)
        one.lock.parent.mkdir(exist_ok=True)
        one.lock.touch()
        os.utime(one.lock, (age + 1000, age + 1000))


def make(step: int, *kinds: str) -> None:
    """Make products, newer than any note."""
    for kind in kinds or ("SPECTRA", "ACTIVATIONS"):
        product = Path(getattr(paths, kind).format(study="s", model="m", step=step))
        product.parent.mkdir(parents=True, exist_ok=True)
        product.touch()
        later = time.time_ns() + 10**10
        os.utime(product, ns=(later, later))


def run(state: str = WORKING, *given_up: str) -> None:
    """Let the main process say this of the run."""
    watch = Watch("s")
    watch.file.parent.mkdir(parents=True, exist_ok=True)
    watch._write(Run(state, frozenset(given_up)))


@contextmanager
def used(one: Entry, claim: Claim) -> Iterator[None]:
    """A job of this process that uses a checkpoint."""

    def fill() -> None:
        one.incoming.rename(one.folder)

    with weight_shelf.using(one, claim, one.folder.exists, fill):
        yield


def get(step: int, bound: int, **claim: Any) -> list[int]:
    """Use a checkpoint for a moment; the steps that are there afterwards."""
    with used(entry(step), Claim(bound, **claim)):
        pass
    return there()


def there() -> list[int]:
    return [one.step for one in weight_shelf.entries("s")]


# How many there are


def test_of_many_fetches_only_so_many_get_a_place(job: Callable[..., Job]) -> None:
    fetches = [job(step, 3, "fetch") for step in range(9)]
    said = [fetch.until("in use", "waits for room") for fetch in fetches]
    assert said.count("in use") == len(there()) == 3
    for round in range(2):
        done = [fetch for fetch, words in zip(fetches, said, strict=True) if words == "in use"]
        for fetch in done:
            fetch.end()
            make(fetch.step)  # nobody needs it any more
        left = [fetch for fetch in fetches if fetch not in done]
        assert len(left) == 6 - 3 * round
        # Who is next is not said before the places are taken: all that are left are asked.
        admitted = wait_for_three(left)
        assert len(admitted) == len(there()) == 3
        fetches = left
        said = ["in use" if fetch in admitted else "" for fetch in left]


def wait_for_three(fetches: list[Job]) -> list[Job]:
    """The three of these whose checkpoints are there, once they are."""
    steps = {fetch.step for fetch in fetches}
    while len(found := steps & set(there())) < 3 or set(there()) - steps:
        assert all(fetch.process.poll() is None for fetch in fetches)
    return [fetch for fetch in fetches if fetch.step in found and fetch.until("in use")]


def test_a_fetch_waits_for_a_place(job: Callable[..., Job]) -> None:
    """While one is used another is fetched; a third comes when the first is deleted."""
    user = job(1, 2, "consumer")
    user.until("in use")
    second = job(2, 2, "fetch")
    second.until("in use")
    third = job(3, 2, "fetch")
    third.until("waits for room")
    second.end()
    assert there() == [1, 2], "something is still to be made from both"
    make(1)
    user.end()
    third.until("in use")
    assert there() == [2, 3]


def test_one_place_is_enough(job: Callable[..., Job]) -> None:
    for step in range(3):
        assert get(step, 1, patient=True) == [step]
        with pytest.raises(Waits):
            get(step + 1, 1, patient=True)
        consumer = job(step, 1, "consumer")
        consumer.until("in use")
        make(step)
        consumer.end()
        assert there() == []


def test_without_a_bound_there_is_room_for_all() -> None:
    put(1, 2, 3)
    with used(entry(4), Claim(None, patient=True)):
        assert there() == [1, 2, 3, 4]


def test_studies_do_not_count_each_others(job: Callable[..., Job]) -> None:
    put(1)
    with used(entry(1, study="other"), Claim(1, patient=True)), pytest.raises(Waits):
        get(2, 1, patient=True)


def test_what_was_begun_has_its_place() -> None:
    put(1, 2, whole=False)
    assert get(2, 2, patient=True) == [1, 2]
    assert entry(2).folder.exists()


# Who goes


def test_a_fetch_takes_the_place_of_what_nobody_needs() -> None:
    put(1, 2)
    make(1)
    assert get(3, 2, patient=True) == [2, 3]


def test_a_fetch_takes_the_place_of_what_has_failed() -> None:
    put(1, 2)
    make(2, "SPECTRA")
    run(WORKING, paths.ACTIVATIONS.format(study="s", model="m", step=2))
    assert get(3, 2, patient=True) == [1, 3]


def test_a_fetch_takes_the_place_of_what_was_not_wholly_deleted() -> None:
    put(1, 2)
    entry(2).folder.rename(entry(2).deleted)
    assert there() == [1, 2]
    assert get(3, 2, patient=True) == [1, 3]


def test_a_job_that_holds_a_core_takes_the_place_of_what_nobody_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For longest, unless there is something that nobody needs."""
    put(4, 3, 2)
    monkeypatch.setattr(weight_shelf, "IDLE_SECONDS", 60.0)
    with pytest.raises(Waits):
        get(5, 3)  # somebody may come
    monkeypatch.setattr(weight_shelf, "IDLE_SECONDS", 0.0)
    assert get(5, 3) == [2, 3, 5]
    make(2)
    assert get(6, 3) == [3, 5, 6]


def test_a_job_that_holds_a_core_waits_for_what_is_used(job: Callable[..., Job]) -> None:
    first, second = job(1, 2, "consumer"), job(2, 2, "consumer")
    first.until("in use")
    second.until("in use")
    third = job(3, 2, "consumer")
    third.until("waits for room")
    first.kill()
    assert there() == [1, 2]
    make(2)
    second.end()
    third.until("in use")
    assert there() == [1, 3]


def test_a_job_that_holds_a_core_does_not_wait_for_the_killed(job: Callable[..., Job]) -> None:
    first, second = job(1, 2, "consumer"), job(2, 2, "consumer")
    first.until("in use")
    second.until("in use")
    third = job(3, 2, "consumer")
    third.until("waits for room")
    second.kill()
    first.kill()
    third.until("in use")
    assert len(there()) == 2 and 3 in there()


def test_a_killed_fetch_leaves_its_place(job: Callable[..., Job]) -> None:
    fetch = job(1, 1, "fetch")
    fetch.until("in use")
    fetch.kill()
    assert get(2, 1) == [2]


def test_the_last_of_several_users_deletes(job: Callable[..., Job]) -> None:
    first, second = job(1, 1, "consumer"), job(1, 1, "consumer")
    first.until("in use")
    second.until("in use")
    make(1)
    first.end()
    assert there() == [1]
    second.end()
    assert there() == []


def test_a_run_begins_with_no_more_than_there_may_be() -> None:
    put(1, 2, 3, 4)
    entry(5).deleted.mkdir()
    make(4)
    weight_shelf.trim("s", 2)
    assert there() == [2, 3]


def test_what_is_none_of_ours_is_left_alone() -> None:
    put(1)
    for name in ("step2.old", "steps", "step"):
        (entry(1).folder.parent / name).mkdir()
    assert there() == [1]


# Who waits for whom


def test_a_checkpoint_that_waits_for_the_reference_leaves_it_a_place() -> None:
    divergences = [paths.DIVERGENCE.format(study="s", model="m", step=step) for step in (1, 9)]
    reference = paths.REFERENCE.format(study="s", model="m")
    weight_products.await_products("s", [reference, *divergences])
    with pytest.raises(Waits):
        get(1, 1, patient=True)
    assert get(1, 2, patient=True) == [1]
    assert get(9, 2, patient=True, first=True) == [1, 9]
    make(9, "REFERENCE", "DIVERGENCE")
    weight_shelf.discard(entry(9))
    assert there() == [1]
    make(1, "DIVERGENCE")
    weight_shelf.discard(entry(1))
    assert get(2, 1, patient=True) == [2]


def test_a_fetch_ends_with_its_run() -> None:
    put(1)
    run(ENDING)
    with pytest.raises(InterruptedError, match=r"m at step 2 is not fetched: the run is ending; r"):
        get(2, 1, patient=True)
    assert get(1, 1, patient=True) == [1], "what is there needs no room"


@pytest.mark.parametrize("state", [WORKING, FETCHING])
def test_a_fetch_waits_for_ever_only_if_something_happens(
    state: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    put(1, 2)
    run(state)
    monkeypatch.setattr(weight_shelf, "STUCK_SECONDS", 50.0)
    clock = iter(range(0, 10**6, 20))
    waited: list[float] = []

    def wait(_: float) -> None:
        waited.append(0)
        if len(waited) > 20:
            raise Waits

    monkeypatch.setattr(
        weight_shelf, "time", SimpleNamespace(sleep=wait, monotonic=lambda: next(clock))
    )
    if state == WORKING:
        with pytest.raises(Waits):
            get(3, 2, patient=True)
    else:
        assert get(3, 2, patient=True) == [2, 3]
        assert 1 <= len(waited) <= 4
        assert "no job uses the downloaded weights" in caplog.text


def test_a_fetch_is_not_stuck_while_weights_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_shelf, "STUCK_SECONDS", 0.0)
    claim = Claim(1, patient=True)
    run(FETCHING)
    with used(entry(1), Claim(1)):
        for _ in range(3):
            with pytest.raises(Waits), used(entry(2), claim):
                pass
    with used(entry(2), claim):
        assert there() == [2]


@pytest.mark.parametrize(
    ("asked", "gpus", "found"), [(None, None, 2), (None, 0, 2), (None, 3, 6), (1, 4, 1)]
)
def test_how_many_there_may_be(
    asked: int | None, gpus: int | None, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(weight_shelf.LIMIT_VARIABLE, "")
    monkeypatch.delenv(weight_shelf.LIMIT_VARIABLE)
    assert weight_shelf.limit() == 2
    weight_shelf.announce(asked, gpus)
    assert weight_shelf.limit() == found
