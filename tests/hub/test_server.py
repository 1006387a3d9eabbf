"""The real client against the hub of these tests: what it asks, gets, and makes of faults."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pyarrow.parquet as pq
import pytest
from faults import Cut, Status, Trickle, WrongBytes, WrongLength
from huggingface_hub import HfApi, HfFileSystem, close_session, constants, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from repositories import git_hash
from rows import STEPS_AND_IDS, Rows
from server import Hub

LARGE = bytes(range(256)) * 400
SMALL = b'{"model_type": "gpt_neox"}'
MODEL = "org/model"

Get = Callable[..., Path]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No token, no cache, nothing asked of other hosts."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    close_session()
    yield
    close_session()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client waited, without its waiting."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as made:
        made.add(MODEL)
        made.commit(MODEL, {"config.json": SMALL, "model.safetensors": LARGE}, "step1000")
        yield made


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.endpoint)


@pytest.fixture
def get(hub: Hub, tmp_path: Path) -> Get:
    def download(name: str, **options: Any) -> Path:
        known = {"repo_id": MODEL, "revision": "step1000", "token": False, **options}
        folder = tmp_path / "here"
        return Path(
            hf_hub_download(filename=name, endpoint=hub.endpoint, local_dir=folder, **known)
        )

    return download


def test_branches_and_tags_name_their_commits(hub: Hub, api: HfApi) -> None:
    later = hub.commit(MODEL, {"config.json": b"{}"}, "step2000")
    hub.commit(MODEL, {"0.parquet": b"-"}, "refs/convert/parquet")
    hub.tag(MODEL, "v1", later)
    refs = api.list_repo_refs(MODEL, include_pull_requests=True)
    assert [b.name for b in refs.branches] == ["main", "step1000", "step2000"]
    assert refs.branches[2].target_commit == later
    assert [(t.ref, t.target_commit) for t in refs.tags] == [("refs/tags/v1", later)]
    assert [(c.name, c.ref) for c in refs.converts] == [("parquet", "refs/convert/parquet")]
    assert api.model_info(MODEL, revision="v1").sha == later
    assert api.list_repo_files(MODEL, revision="refs/convert/parquet")[-1] == "0.parquet"


def test_information_has_sizes_and_hashes(hub: Hub, api: HfApi) -> None:
    info = api.model_info(MODEL, revision="step1000", files_metadata=True)
    siblings = {s.rfilename: s for s in info.siblings or []}
    assert list(siblings) == [".gitattributes", "config.json", "model.safetensors"]
    assert siblings["config.json"].blob_id == git_hash("blob", SMALL)
    assert siblings["config.json"].lfs is None
    large = siblings["model.safetensors"]
    assert large.lfs is not None and large.size == large.lfs.size == len(LARGE)
    plain = api.model_info(MODEL, revision="step1000").siblings or []
    assert plain[0].size is None and info.gated is False
    assert api.model_info(MODEL, expand=["sha"]).siblings is None


def test_the_tree_comes_in_pages_with_folders_and_changes(hub: Hub, api: HfApi) -> None:
    hub.protocol.page_sizes.update({"tree": 2, "expanded tree": 2, "commits": 1})
    changed = hub.commit(MODEL, {"a/b/c.txt": b"c"}, "step1000", "Add c")
    top = [f.path for f in api.list_repo_tree(MODEL, revision="step1000")]
    assert top == ["a", ".gitattributes", "config.json", "model.safetensors"]
    whole = api.list_repo_tree(MODEL, revision="step1000", recursive=True, expand=True)
    found = {f.path: f.last_commit.title for f in whole if f.last_commit}
    assert found["a/b"] == found["a/b/c.txt"] == "Add c"
    assert found[".gitattributes"] == "initial commit"
    assert [f.path for f in api.list_repo_tree(MODEL, "a/b", revision=changed)] == ["a/b/c.txt"]
    asked = ["a", "a/b/c.txt", "nothing"]
    assert [p.path for p in api.get_paths_info(MODEL, asked, revision=changed)] == asked[:2]
    titles = [c.title for c in api.list_repo_commits(MODEL, revision="step1000")]
    assert titles == ["Add c", "Upload files", "initial commit"]


def test_a_commit_outlives_its_branch_until_it_vanishes(hub: Hub, api: HfApi) -> None:
    pinned = hub.repository(MODEL).branches["step1000"]
    hub.commit(MODEL, {"config.json": b"{}"}, "step1000")
    assert api.model_info(MODEL, revision="step1000").sha != pinned
    hub.delete(MODEL, "step1000")
    assert api.model_info(MODEL, revision=pinned).sha == pinned
    hub.move(MODEL, "main", pinned)
    assert api.model_info(MODEL).sha == pinned
    hub.vanish(MODEL, pinned)
    with pytest.raises(RevisionNotFoundError):
        api.model_info(MODEL, revision=pinned)


def test_files_come_whole_and_unwanted_ones_do_not(hub: Hub, get: Get) -> None:
    assert get("config.json").read_bytes() == SMALL
    assert get("model.safetensors").read_bytes() == LARGE
    # A redirect within the hub for the one, to the storage for the other.
    assert [r.status for r in hub.asked("*/config.json")] == [307, 200, 200]
    assert [r.status for r in hub.asked("*/model.safetensors")] == [302, 200]
    assert hub.sent("*/model.safetensors") == len(LARGE)
    assert hub.sent("*/.gitattributes") == 0


def test_a_file_on_disk_is_served_in_ranges(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(LARGE)
    hub.commit(MODEL, {"big.bin": tmp_path / "big.bin"})
    url = f"{hub.endpoint}/{MODEL}/resolve/main/big.bin"

    def ask(wanted: str, **headers: str) -> httpx2.Response:
        asked = {"Range": wanted, **headers}
        return httpx2.get(url, headers=asked, follow_redirects=True)

    middle = ask("bytes=10-19")
    assert middle.status_code == 206 and middle.content == LARGE[10:20]
    assert middle.headers["Content-Range"] == f"bytes 10-19/{len(LARGE)}"
    assert ask("bytes=-5").content == LARGE[-5:]
    assert ask(f"bytes={len(LARGE) - 5}-").content == LARGE[-5:]
    assert ask("bytes=0-9", **{"If-Range": '"another"'}).content == LARGE
    beyond = ask(f"bytes={len(LARGE)}-")
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"] == f"bytes */{len(LARGE)}"


def test_a_cut_download_asks_for_the_rest_only(
    hub: Hub, get: Get, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # else 10 MiB are lost at a cut
    hub.fail("*/model.safetensors", Cut(after=5_500))
    assert get("model.safetensors").read_bytes() == LARGE
    first, second = hub.asked("*/model.safetensors", "GET")
    assert (first.sent, second.range) == (5_500, "bytes=5000-")
    assert second.sent == len(LARGE) - 5_000 and waits == [1]


def test_a_torn_connection_is_not_tried_again_by_the_client(hub: Hub, get: Get) -> None:
    hub.fail("*/model.safetensors", Cut(after=5_500, reset=True))
    with pytest.raises(httpx2.ReadError):
        get("model.safetensors")


def test_the_client_finds_a_wrong_length_but_not_wrong_bytes(hub: Hub, get: Get) -> None:
    hub.fail("*/model.safetensors", WrongLength(by=-10))
    with pytest.raises(OSError, match="Consistency check failed"):
        get("model.safetensors")
    hub.fail("*/model.safetensors", WrongLength(by=10))
    with pytest.raises(OSError, match="Consistency check failed"):
        get("model.safetensors")
    hub.fail("*/model.safetensors", WrongBytes(at=3))
    wrong = get("model.safetensors").read_bytes()
    assert len(wrong) == len(LARGE)
    assert [i for i, (a, b) in enumerate(zip(wrong, LARGE, strict=True)) if a != b] == [3]


def test_too_many_requests_wait_as_long_as_told(hub: Hub, get: Get, waits: list[float]) -> None:
    hub.fail("*/model.safetensors", Status(429, retry_after=7), times=2, method="GET")
    hub.fail("*/model.safetensors", Status(429, reset_in=50), method="GET")
    get("model.safetensors")
    assert waits == [8, 8, 51]  # the client adds a second
    hub.fail("*/refs", Status(429, retry_after=7))
    with pytest.raises(HfHubHTTPError, match="429"):
        HfApi(endpoint=hub.endpoint).list_repo_refs(MODEL)


@pytest.mark.parametrize("code", [500, 503])
def test_server_errors_end_a_download(code: int, hub: Hub, get: Get, waits: list[float]) -> None:
    hub.fail("*/model.safetensors", Status(code), method="GET")
    with pytest.raises(HfHubHTTPError, match=str(code)):
        get("model.safetensors")
    hub.fail("*/model.safetensors", Status(code), times=7, method="HEAD")
    with pytest.raises(LocalEntryNotFoundError):
        get("model.safetensors")
    assert waits == [1, 2, 4, 8, 8]


def test_what_is_not_there_is_named(hub: Hub, api: HfApi, get: Get) -> None:
    with pytest.raises(RemoteEntryNotFoundError):
        get("nothing.json")
    with pytest.raises(RevisionNotFoundError):
        get("config.json", revision="step3")
    with pytest.raises(RepositoryNotFoundError):
        get("config.json", repo_id="org/nothing")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(MODEL, revision="step3")
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info(MODEL)


def test_gated_and_private_repositories_want_a_token(hub: Hub, get: Get, api: HfApi) -> None:
    hub.add("org/gated", gated=True)
    hub.add("org/private", private=True)
    for name in ("org/gated", "org/private"):
        hub.commit(name, {"config.json": SMALL, "model.safetensors": LARGE}, "step1000")
    hub.allow("hf_member", "org/gated", "org/private")
    hub.allow("hf_stranger")
    assert api.model_info("org/gated").gated == "auto"
    for token, status in ((False, 401), ("hf_stranger", 403)):
        with pytest.raises(GatedRepoError) as refused:
            get("config.json", repo_id="org/gated", token=token)
        assert refused.value.response.status_code == status
        with pytest.raises(RepositoryNotFoundError):
            get("config.json", repo_id="org/private", token=token)
    with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
        get("config.json", token="hf_wrong")
    assert api.whoami(token="hf_member")["name"] == "tester"
    for name in ("config.json", "model.safetensors"):
        get(name, repo_id="org/gated", token="hf_member")
        get(name, repo_id="org/private", token="hf_member", force_download=True)
    storage = hub.asked("/models/*")
    assert storage and not any(r.authorized for r in storage)


def test_links_to_the_storage_expire(
    hub: Hub, get: Get, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: hub.expire_links())
    hub.fail("*/model.safetensors", Cut(after=10))
    with pytest.raises(HfHubHTTPError, match="expired"):
        get("model.safetensors")


def test_no_request_may_come_where_none_is_needed(hub: Hub, api: HfApi) -> None:
    with hub.untouched():
        pass
    with pytest.raises(AssertionError, match="requests came"), hub.untouched():
        api.model_info(MODEL)
    assert api.model_info(MODEL).id == MODEL


def test_a_hub_can_go_away_and_come_back(hub: Hub, api: HfApi) -> None:
    before = hub.endpoint
    assert api.repo_exists(MODEL)
    hub.stop()
    with pytest.raises(httpx2.NetworkError):
        api.model_info(MODEL)
    hub.start()
    assert hub.endpoint == before and api.repo_exists(MODEL)


def test_a_client_in_another_process_can_be_killed_half_way(hub: Hub, tmp_path: Path) -> None:
    hub.fail("*/model.safetensors", Trickle(bytes_per_second=20_000))
    code = "from huggingface_hub import hf_hub_download as get\n"
    code += f"get({MODEL!r}, 'model.safetensors', revision='step1000', local_dir='here')"
    client = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=hub.environment(tmp_path / "home")
    )
    while client.poll() is None and not hub.sent("*/model.safetensors"):
        time.sleep(0.01)
    client.kill()
    client.wait()
    assert 0 < hub.sent("*/model.safetensors") < len(LARGE)
    assert not (tmp_path / "here" / "model.safetensors").exists()


def test_xet_is_announced_only_on_demand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with Hub(xet=True) as hub:
        hub.add(MODEL)
        hub.commit(MODEL, {"model.safetensors": LARGE})
        hf_hub_download(MODEL, "model.safetensors", endpoint=hub.endpoint, local_dir=tmp_path)
        assert hub.sent("*/model.safetensors") == len(LARGE)
        assert not hub.asked("*/xet-read-token/*")


def test_rows_are_read_in_ranges_and_with_a_filter(hub: Hub) -> None:
    rows = Rows(files=2, rows_per_batch=1000, vocabulary=50_000)
    rows.publish(hub, "org/rows")
    files = HfFileSystem(endpoint=hub.endpoint, token=False, skip_instance_cache=True)
    names = sorted(files.glob("datasets/org/rows/data/*.parquet"))
    assert len(names) == 2
    with files.open(names[1], block_size=1 << 10, cache_type="none") as opened:
        found = pq.read_table(opened, filters=[("batch_idx", "=", 5)], pre_buffer=False)
    assert found["uid"].to_pylist() == list(range(5000, 6000))
    tokens = np.array(found["token_ids"].to_pylist(), np.uint16)
    assert np.array_equal(tokens, rows.tokens()[5000:6000])
    # pyarrow takes the last 64 KiB for the footer, then one row group of four.
    assert hub.sent("*.parquet") < (1 << 16) + 0.35 * len(rows.parquet(1))
    assert {r.status for r in hub.asked("/datasets/*/data/*.parquet")} == {302, 206}


def test_named_parts_of_a_dataset_are_in_its_card(hub: Hub, api: HfApi) -> None:
    Rows(configs=("first", "second"), columns=STEPS_AND_IDS).publish(hub, "org/parts")
    listed = api.list_repo_files("org/parts", repo_type="dataset")
    assert "second/train-00002-of-00003.parquet" in listed
    files = HfFileSystem(endpoint=hub.endpoint, token=False, skip_instance_cache=True)
    assert "config_name: second" in files.read_text("datasets/org/parts/README.md")
    table = pq.read_table("datasets/org/parts/first", filesystem=files)
    assert table.column_names == ["step", "ids"] and table.num_rows == 96


def test_the_environment_of_a_process_has_no_token(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HTTP_PROXY", "http://example.org")
    environment = hub.environment(tmp_path)
    assert not {"HF_TOKEN", "HTTP_PROXY"} & environment.keys()
    assert environment["HF_ENDPOINT"] == hub.endpoint
    assert environment["PATH"] == os.environ["PATH"]
