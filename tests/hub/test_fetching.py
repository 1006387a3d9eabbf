"""Checkpoints from a hub on which something goes wrong: whole and right, or one clear error."""

import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from math import inf
from pathlib import Path

import pytest
from faults import Cut, Fault, Status, Trickle, WrongBytes, WrongLength
from fetched_weights import FOLDER, MODEL, make, publish, resolved
from huggingface_hub import constants, hf_hub_download
from server import Hub
from suites import UNWANTED, Layout, Suite

from tending.core import paths
from tending.hub import fetching, pins, weight_products, weight_shelf
from tending.hub.client import ATTEMPTS, LONGEST_PAUSE, HubError
from tending.hub.downloads import download
from tending.hub.pins import File, Revision
from tending.hub.weight_shelf import Entry
from tending.models import checkpoint_record

WEIGHTS = "model.safetensors"
STORED = f"/models/{MODEL}/*"  # where large files are
RESOLVED = f"/{MODEL}/resolve/*"  # where every file is asked for


def fetch(revision: Revision, folder: Path = FOLDER) -> list[str]:
    return fetching.fetch(MODEL, revision, folder, lambda _: None)


def asked(hub: Hub) -> list[str]:
    """Names of the files that were asked for."""
    return sorted({request.path.split("/", 5)[5] for request in hub.asked(RESOLVED)})


def content(hub: Hub, revision: Revision, name: str) -> bytes:
    return hub.repository(MODEL).commits[revision.commit].files[name].read()


def finished() -> list[str]:
    """Names of all files that look finished, without locks."""
    found = [p for p in Path("results").rglob("*") if p.is_file() and p.suffix != ".lock"]
    return sorted(p.name for p in found if not p.name.endswith(".partial"))


# What is fetched


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("safetensors", [WEIGHTS]),
        ("both", [WEIGHTS]),
        ("bin", ["pytorch_model.bin"]),
        (
            "safetensors shards",
            [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
            + ["model.safetensors.index.json"],
        ),
        (
            "bin shards",
            [f"pytorch_model-0000{n}-of-00002.bin" for n in (1, 2)]
            + ["pytorch_model.bin.index.json"],
        ),
    ],
)
def test_one_format_and_nothing_else(here: Hub, layout: Layout, names: list[str]) -> None:
    revision = publish(here, layout)
    fetched = fetch(revision)
    assert sorted(fetched) == asked(here) == sorted(["config.json", *names])
    assert not {*UNWANTED, "tokenizer.json"} & set(asked(here))
    assert sorted(p.name for p in FOLDER.iterdir()) == sorted([fetching.PINNED, *fetched])
    for name in fetched:
        assert (FOLDER / name).read_bytes() == content(here, revision, name)
    assert here.sent(STORED) == sum(revision.files[n].size for n in names if "index" not in n)
    assert checkpoint_record.inspect(FOLDER, "m", 1, "step1").parameters > 10_000
    with here.untouched():
        assert fetch(revision) == sorted(fetched)


def test_a_shard_that_is_not_on_the_hub(here: Hub) -> None:
    Suite(steps=(0, 1), layout="safetensors shards").publish(here, MODEL)
    here.commit(MODEL, {"model-00002-of-00002.safetensors": None}, "step1")
    revision = resolved(1).revisions[1]
    message = r"step1: 1 of 2 shards named in model.safetensors.index.json are not on the hub: mod"
    with pytest.raises(HubError, match=message):
        fetch(revision)
    assert not FOLDER.exists() and here.sent(STORED) == 0


def test_a_file_in_the_clients_cache_is_linked(here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = publish(here)
    for name in (WEIGHTS, "config.json"):
        hf_hub_download(MODEL, name, revision=revision.commit, endpoint=here.endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with here.untouched():
        fetch(revision)
    assert (FOLDER / WEIGHTS).is_symlink()
    assert (FOLDER / WEIGHTS).read_bytes() == content(here, revision, WEIGHTS)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    shutil.rmtree("cache")  # the link leads nowhere now
    fetch(revision)
    assert (FOLDER / WEIGHTS).read_bytes() == content(here, revision, WEIGHTS)


def test_a_wrong_file_in_the_clients_cache_is_not_used(here: Hub) -> None:
    revision = publish(here)
    cached = Path(hf_hub_download(MODEL, WEIGHTS, revision=revision.commit, endpoint=here.endpoint))
    cached.resolve().write_bytes(bytes(revision.files[WEIGHTS].size))
    fetch(revision)
    assert not (FOLDER / WEIGHTS).is_symlink()
    assert (FOLDER / WEIGHTS).read_bytes() == content(here, revision, WEIGHTS)


def test_offline_without_the_file(here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = publish(here)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with (
        here.untouched(),
        pytest.raises(HubError, match=r"offline.*unset HF_HUB_OFFLINE"),
    ):
        fetch(revision)
    assert finished() == []


# What breaks and is mended


@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_connection_goes_on_where_it_ended(
    here: Hub, waits: list[float], reset: bool
) -> None:
    revision = publish(here)
    here.fail(f"*/{WEIGHTS}", Cut(after=20_000, reset=reset))
    fetch(revision)
    first, second = here.asked(f"/models/*/{WEIGHTS}")
    had = int((second.range or "").removeprefix("bytes=").removesuffix("-"))
    assert first.range is None and 0 < had <= 20_000 and len(waits) == 1
    assert second.sent == revision.files[WEIGHTS].size - had
    if not reset:  # a torn connection may lose what was under way
        assert had == 20_000


def test_a_connection_that_is_cut_again_and_again(here: Hub, waits: list[float]) -> None:
    """More often than there are attempts, but never without progress."""
    revision = publish(here)
    size = revision.files[WEIGHTS].size
    here.fail(f"*/{WEIGHTS}", Cut(after=size // (ATTEMPTS + 3)), times=inf)
    fetch(revision)
    assert len(waits) > ATTEMPTS
    assert here.sent(f"/models/*/{WEIGHTS}") == size


def child(code: str, hub: Hub) -> subprocess.Popen[bytes]:
    """A process that runs `code`, with `revision` from the pin file that lies here."""
    start = "from pathlib import Path; from tending.hub import fetching, pins, weight_shelf\n"
    start += "revision = pins.read(Path('pins.json'))['m'].revisions[1]\n"
    environment = hub.environment(Path("home").absolute())
    environment["PYTHONPATH"] = str(Path(fetching.__file__).parents[2])
    return subprocess.Popen([sys.executable, "-c", start + code], env=environment)


def test_a_killed_process_leaves_its_part_to_the_next(here: Hub) -> None:
    publish(here)
    pins.write({"m": resolved(1)}, Path("pins.json"))
    here.fail(f"*/{WEIGHTS}", Trickle(bytes_per_second=60_000))
    code = f"fetching.fetch({MODEL!r}, revision, Path({str(FOLDER)!r}), print)"
    first = child(code, here)
    while first.poll() is None and here.sent(f"/models/*/{WEIGHTS}") < 25_000:
        pass
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert finished() == ["config.json"] and not FOLDER.exists()
    assert child(code, here).wait() == 0
    whole = resolved(1).revisions[1].files[WEIGHTS].size
    assert here.asked(f"/models/*/{WEIGHTS}")[-1].sent < whole - 10_000
    assert (FOLDER / WEIGHTS).stat().st_size == whole


def test_two_processes_at_once_fetch_once(here: Hub) -> None:
    publish(here)
    pins.write({"m": resolved(1)}, Path("pins.json"))
    here.fail(f"*/{WEIGHTS}", Trickle(bytes_per_second=100_000))
    code = f"fetching.arrived({MODEL!r}, revision, weight_shelf.Entry('s', 'm', 1), print)"
    both = [child(code, here), child(code, here)]
    assert [process.wait() for process in both] == [0, 0]
    assert len(here.asked(f"/models/*/{WEIGHTS}")) == 1


def test_wrong_bytes_are_fetched_again(here: Hub) -> None:
    revision = publish(here)
    here.fail(f"*/{WEIGHTS}", WrongBytes())
    fetch(revision)
    assert (FOLDER / WEIGHTS).read_bytes() == content(here, revision, WEIGHTS)
    assert [r.range for r in here.asked(f"/models/*/{WEIGHTS}")] == [None, None]


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_bytes_that_stay_wrong(here: Hub, name: str) -> None:
    """By sha256 in large-file storage, by the git object id elsewhere."""
    revision = publish(here)
    here.fail(f"*/{name}", WrongBytes(), times=inf)
    file = revision.files[name]
    message = rf"{name}: the bytes received differ .* {file.sha256 or file.blob}\), twice"
    with pytest.raises(HubError, match=message):
        fetch(revision)
    assert name not in finished() and not FOLDER.exists()
    assert list(FOLDER.parent.rglob(".*.partial")) == []


@pytest.mark.parametrize("by", [-10, 10])
def test_a_wrong_length(here: Hub, by: int) -> None:
    revision = publish(here)
    here.fail(f"*/{WEIGHTS}", WrongLength(by))
    fetch(revision)
    assert (FOLDER / WEIGHTS).read_bytes() == content(here, revision, WEIGHTS)


def test_a_length_that_stays_wrong(here: Hub) -> None:
    revision = publish(here)
    here.fail(f"*/{WEIGHTS}", WrongLength(10), times=inf)
    size = revision.files[WEIGHTS].size
    with pytest.raises(HubError, match=f"the hub sent {size + 10} bytes, but lists {size}"):
        fetch(revision)
    assert WEIGHTS not in finished() and not FOLDER.exists()


# Patience


@pytest.mark.parametrize(
    ("fault", "least"),
    [
        (Status(429, retry_after=7), 7),
        (Status(429, reset_in=50), 50),  # as the hub's own limits say it
        (Status(503, retry_after=3), 3),
    ],
)
def test_what_the_hub_asks_for_is_waited(
    here: Hub, waits: list[float], fault: Fault, least: float
) -> None:
    revision = publish(here)
    here.fail(f"{RESOLVED}/{WEIGHTS}", fault, times=2)
    here.fail(f"/api/models/{MODEL}/refs", fault)
    resolved(1)
    fetch(revision)
    assert len(waits) == 3
    assert all(least < wait < least + LONGEST_PAUSE for wait in waits)
    assert len({wait % 1 for wait in waits}) == 3, "pauses are random"


def test_what_no_one_would_wait_for(here: Hub, waits: list[float]) -> None:
    revision = publish(here)
    here.fail(f"{RESOLVED}/{WEIGHTS}", Status(429, retry_after=3600))
    with pytest.raises(HubError, match=r"requests a pause of 3600 s \(status 429\); run again"):
        fetch(revision)
    assert waits == [] and not FOLDER.exists()


def test_pauses_are_random_and_their_bound_grows(here: Hub, waits: list[float]) -> None:
    revision = publish(here)
    for _ in range(20):
        here.fail(f"{RESOLVED}/{WEIGHTS}", Status(500), times=ATTEMPTS)
        with pytest.raises(HubError):
            fetch(revision)
    rounds = [waits[i :: ATTEMPTS - 1] for i in range(ATTEMPTS - 1)]
    for k, pauses in enumerate(rounds):
        assert len(set(pauses)) == 20 and all(0 <= pause <= 2**k for pause in pauses)
    assert max(rounds[-1]) > 2, "the last bound is 16 seconds"


def test_errors_to_the_end(here: Hub, waits: list[float]) -> None:
    revision = publish(here)
    here.fail(f"*/{WEIGHTS}", Status(500), times=inf)
    message = rf"^{MODEL} at {revision.commit[:10]}, {WEIGHTS}: the hub still fails after 6 att"
    with pytest.raises(HubError, match=message):
        fetch(revision)
    assert len(waits) == ATTEMPTS - 1 and finished() == ["config.json"]
    assert not FOLDER.exists()
    here.rules.clear()
    before = len(here.requests)
    fetch(revision)
    assert not [r for r in here.requests[before:] if r.path.endswith("config.json")]


# What cannot be mended


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Status(404, error_code="EntryNotFound"), "the hub has no such file in this revision"),
        (Status(404), "the hub answers with status 404"),
        (Status(403), r"refuses access \(status 403\); check HF_TOKEN"),
        (Status(401), "check the name, and set HF_TOKEN|check HF_TOKEN"),
    ],
)
def test_refusals_are_final(here: Hub, waits: list[float], fault: Fault, message: str) -> None:
    revision = publish(here)
    here.fail(f"{RESOLVED}/{WEIGHTS}", fault)
    with pytest.raises(HubError, match=message):
        fetch(revision)
    assert waits == [] and not FOLDER.exists()


def test_a_pinned_commit_outlives_its_branch_until_it_vanishes(here: Hub) -> None:
    revision = publish(here)
    here.commit(MODEL, Suite().files(4), "step1")
    fetch(revision)
    assert (FOLDER / WEIGHTS).read_bytes() == content(here, revision, WEIGHTS)
    here.vanish(MODEL, revision.commit)
    shutil.rmtree(FOLDER)
    with pytest.raises(HubError, match=rf"{revision.commit[:10]}, .* no such revision; .* gone"):
        fetch(revision)
    assert finished() == []


def test_no_network(here: Hub, waits: list[float]) -> None:
    revision = publish(here)
    here.stop()
    with pytest.raises(HubError, match=r"no answer from http://127.* \(ConnectError\); check the"):
        fetch(revision)
    assert len(waits) == ATTEMPTS - 1 and finished() == []
    here.start()
    fetch(revision)


def test_a_gated_repository_names_the_way_in(here: Hub) -> None:
    revision = publish(here)
    here.repository(MODEL).gated = True
    with pytest.raises(HubError, match=r": gated; accept its terms on its page, then set HF_TOK"):
        fetch(revision)


def test_a_token_goes_to_the_hub_and_nowhere_else(
    here: Hub,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    token = "hf_secretOfThisTest"
    monkeypatch.setenv("HF_TOKEN", token)
    here.allow(token, MODEL)
    revision = publish(here, gated=True)
    here.fail(f"*/{WEIGHTS}", Status(503))
    here.fail(f"*/{WEIGHTS}", Cut(after=100))
    fetch(revision)
    assert all(r.authorized for r in here.asked(RESOLVED))
    assert here.asked(STORED) and not any(r.authorized for r in here.asked(STORED))
    monkeypatch.setenv("HF_TOKEN", "hf_secretAndWrong")
    with pytest.raises(HubError, match=r"refuses access \(status 401\); check HF_TOKEN") as error:
        fetch(revision, FOLDER.with_name("step2"))
    said = [caplog.text, *capfd.readouterr(), str(error.value)]
    said += [p.read_text("latin-1") for p in Path.cwd().rglob("*") if p.is_file()]
    assert not any("hf_secret" in text for text in said)


def test_too_little_space_is_seen_before(here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = publish(here)
    usage = namedtuple("usage", "total used free")(10, 9, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(HubError, match=r"step1: 0.00 GiB to download, 0.00 GiB free in .*weights"):
        fetch(revision)
    assert here.sent("*") == 0 and finished() == []


def test_a_disk_that_fills_up(here: Hub) -> None:
    """The partial file is a device that is always full, so that the error is the real one."""
    revision = publish(here)
    name = f".{revision.files[WEIGHTS].sha256[:16]}.partial"
    incoming = FOLDER.with_name("step1.incoming")
    incoming.mkdir(parents=True)
    (incoming / name).symlink_to("/dev/full")
    with pytest.raises(HubError, match=r"the disk is full; free some space and run again"):
        fetch(revision)
    assert finished() == ["config.json"] and not FOLDER.exists()
    (incoming / name).unlink()
    fetch(revision)


def test_another_error_of_the_disk_is_not_renamed(
    here: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = publish(here)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="Read-only"):
        download(MODEL, revision.commit, WEIGHTS, revision.files[WEIGHTS], Path("here") / WEIGHTS)


# Folders


def test_a_folder_of_another_commit_is_replaced(here: Hub) -> None:
    """At once, even a half-fetched one, and even by one in another format."""
    first = publish(here)
    fetch(first)
    (FOLDER / "left").touch()
    here.fail("*/pytorch_model.bin", Status(404))
    here.commit(MODEL, Suite(layout="bin").files(1), "step1", fresh=True)
    second = resolved(1).revisions[1]
    incoming = FOLDER.with_name("step1.incoming")
    incoming.mkdir()
    shutil.copy(FOLDER / WEIGHTS, incoming)
    (incoming / ".0123456789abcdef.partial").write_bytes(b"of another file")
    with pytest.raises(HubError):
        fetch(second)
    assert not FOLDER.exists(), "there are never two of a checkpoint"
    fetch(second)
    names = sorted(p.name for p in FOLDER.iterdir())
    assert names == [fetching.PINNED, "config.json", "pytorch_model.bin"]
    assert not incoming.exists()


@pytest.fixture
def record(here: Hub) -> checkpoint_record.Checkpoint:
    """A checkpoint of which nothing is made yet."""
    revision = publish(here)
    return fetching.arrived(MODEL, revision, Entry("s", "m", 1), lambda _: None)


def test_weights_go_when_everything_is_made(
    here: Hub, record: checkpoint_record.Checkpoint
) -> None:
    with here.untouched():
        with fetching.weights(record, "s"):
            make(record, "SPECTRA")
        assert FOLDER.exists(), "activations still need them"
        with fetching.weights(record, "s", keep=True):
            make(record, "ACTIVATIONS")
        assert FOLDER.exists(), "the study keeps them"
        with pytest.raises(ZeroDivisionError), fetching.weights(record, "s"):
            raise ZeroDivisionError
        assert FOLDER.exists(), "the next run needs them"
        with fetching.weights(record, "s"):
            pass
    assert [p.name for p in Path("results/s/weights").iterdir()] == [".locks"]


def test_weights_that_are_gone_are_fetched_again(
    here: Hub, record: checkpoint_record.Checkpoint
) -> None:
    make(record, "SPECTRA", "ACTIVATIONS")
    shutil.rmtree(FOLDER)
    before = len(here.requests)
    with fetching.weights(record, "s"):
        assert (FOLDER / WEIGHTS).stat().st_size == record.fetched[WEIGHTS]["size"]
    assert not FOLDER.exists()
    assert {r.path.split("/")[-1] for r in here.requests[before:]} == {"config.json", WEIGHTS}


def test_a_deletion_that_was_killed_is_finished(
    here: Hub, record: checkpoint_record.Checkpoint
) -> None:
    shutil.copytree(FOLDER, FOLDER.with_name("step1.deleted"))
    make(record, "SPECTRA", "ACTIVATIONS")
    with fetching.weights(record, "s"):
        pass
    assert not FOLDER.parent.exists()


def test_weights_of_ones_own_are_left_alone(here: Hub, tmp_path: Path) -> None:
    Path("mine").mkdir()
    for name, written in Suite().files(1).items():
        if name in ("config.json", WEIGHTS):
            (Path("mine") / name).write_bytes(written)
    record = checkpoint_record.inspect(Path("mine"), "m", 1, "step1")
    make(record, "SPECTRA", "ACTIVATIONS")
    with here.untouched(), fetching.weights(record, "s"):
        pass
    assert Path("mine", WEIGHTS).exists()


def test_one_file_in_a_folder(here: Hub) -> None:
    revision, target = publish(here), Path("one/config.json")
    for _ in range(2):
        download(MODEL, revision.commit, target.name, revision.files[target.name], target)
    assert target.read_bytes() == content(here, revision, target.name)
    assert len(here.asked(RESOLVED)) == 1
    target.write_bytes(b"{}")
    download(MODEL, revision.commit, target.name, revision.files[target.name], target)
    assert target.read_bytes() == content(here, revision, target.name)
    unlisted = File(revision.files[target.name].size)
    with pytest.raises(HubError, match="differ from those that the hub lists"):
        download(MODEL, revision.commit, target.name, unlisted, Path("two/config.json"))


def test_dates_are_understood_as_wishes(here: Hub, waits: list[float]) -> None:
    from email.utils import formatdate

    revision = publish(here)

    class Dated(Status):
        @property
        def headers(self) -> dict[str, str]:
            return {"Retry-After": formatdate(time.time() + 30, usegmt=True)}

    here.fail(f"{RESOLVED}/{WEIGHTS}", Dated(503))
    fetch(revision)
    assert 28 < waits[0] < 30 + LONGEST_PAUSE


def test_weights_wait_for_what_the_run_is_going_to_make_again(
    here: Hub, record: checkpoint_record.Checkpoint
) -> None:
    """The products of earlier settings still lie there when the first job ends."""
    make(record, "SPECTRA", "ACTIVATIONS", seconds=-9)
    weight_products.await_products("s", map(str, weight_products.products("s", "m", 1)))
    with here.untouched():
        with fetching.weights(record, "s"):
            make(record, "SPECTRA")
        assert FOLDER.exists(), "the activations are old"
        with fetching.weights(record, "s"):
            make(record, "ACTIVATIONS")
        assert not FOLDER.exists()


def test_weights_do_not_wait_for_what_the_run_does_not_make(
    here: Hub, record: checkpoint_record.Checkpoint
) -> None:
    spectra, _ = weight_products.products("s", "m", 1)
    weight_products.await_products("s", [str(spectra)])
    with fetching.weights(record, "s"):
        make(record, "SPECTRA")
    assert not FOLDER.exists(), "a run of single targets fills no disk"


def test_a_run_sweeps_up_what_was_left(here: Hub, record: checkpoint_record.Checkpoint) -> None:
    planned = {("m", 1)}
    half = FOLDER.with_name("step1.incoming")
    half.mkdir()
    make(record, "SPECTRA")
    weight_shelf.sweep("s", planned)
    assert FOLDER.exists() and half.exists(), "activations are still to be made"
    make(record, "ACTIVATIONS")
    with fetching.weights(record, "s", keep=True):
        weight_shelf.sweep("s", planned)
        assert FOLDER.exists(), "somebody uses it"
    weight_shelf.sweep("s", planned)
    assert not Path("results/s/weights").exists()
    weight_shelf.sweep("s", planned)


def test_a_step_that_left_the_study_leaves_no_weights(
    here: Hub, record: checkpoint_record.Checkpoint
) -> None:
    weight_shelf.sweep("s", {("m", 2)})
    assert not Path("results/s/weights").exists()


def test_weights_wait_for_gradients_where_the_run_takes_them(
    here: Hub, record: checkpoint_record.Checkpoint
) -> None:
    """Studies without gradients do not wait for any."""
    make(record, "SPECTRA", "ACTIVATIONS")
    gradients = paths.GRADIENTS.format(study="s", model=record.model, step=record.step)
    weight_products.await_products("s", [gradients])
    with here.untouched():
        with fetching.weights(record, "s"):
            pass
        assert FOLDER.exists()
        weight_shelf.sweep("s", {("m", 1)}, [*paths.WEIGHT_PRODUCTS, paths.GRADIENTS])
        assert FOLDER.exists()
        with fetching.weights(record, "s"):
            make(record, "GRADIENTS")
        assert not FOLDER.exists()
