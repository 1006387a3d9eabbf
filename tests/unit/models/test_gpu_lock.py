"""Which GPU a job takes, with made-up ones."""

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from tending.models import gpu_lock

TAKE = """
import sys
from pathlib import Path
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """A machine with three GPUs; returns what is made the current one."""
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(gpu_lock, "choose_device", lambda name: torch.device(_known(name)))
    monkeypatch.setattr(gpu_lock, "visible", lambda: ["GPU-a", "GPU-b", "GPU-c"])
    monkeypatch.setattr(gpu_lock, "folder", lambda: tmp_path / "locks")
    return current


def _known(name: str) -> str:
    return "cuda" if name == "auto" else name


def test_jobs_at_once_take_different_gpus(gpus: list[int]) -> None:
    take = gpu_lock.taken
    with take("auto") as first, take("cuda") as second, take("auto") as third:
        assert [d.index for d in (first, second, third)] == [0, 1, 2]
    assert gpus == [0, 1, 2]


def test_a_gpu_is_free_again_after_the_job_and_after_an_error(gpus: list[int]) -> None:
    with pytest.raises(RuntimeError, match="broken"), gpu_lock.taken("auto"):
        raise RuntimeError("broken")
    with gpu_lock.taken("auto") as device:
        assert device.index == 0


def test_a_job_waits_while_all_are_taken(
    gpus: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held = [gpu_lock.taken("auto") for _ in range(3)]
    for context in held:
        context.__enter__()
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            held[1].__exit__(None, None, None)

    monkeypatch.setattr(time, "sleep", sleep)
    with caplog.at_level(logging.INFO), gpu_lock.taken("auto") as device:
        assert device.index == 1
    assert len(waited) == 2
    assert caplog.text.count("all 3 GPUs are in use") == 1
    for context in (held[0], held[2]):
        context.__exit__(None, None, None)


def test_a_named_gpu_is_that_one(gpus: list[int]) -> None:
    with gpu_lock.taken("cuda:2") as device, gpu_lock.taken("auto") as other:
        assert (device.index, other.index) == (2, 0)


def test_a_killed_job_frees_its_gpu(gpus: list[int]) -> None:
    gpu_lock.folder().mkdir(parents=True)
    lock = gpu_lock.folder() / "GPU-a.lock"
    command = [sys.executable, "-c", TAKE, str(lock)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "taken\n"
        with gpu_lock.taken("auto") as device:
            assert device.index == 1
        other.kill()
    with gpu_lock.taken("auto") as device:
        assert device.index == 0


def test_the_cpu_is_never_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_lock, "folder", lambda: tmp_path / "locks")
    with gpu_lock.taken("cpu") as first, gpu_lock.taken("cpu") as second:
        assert first.type == second.type == "cpu"
    assert not (tmp_path / "locks").exists()


def test_locks_belong_to_cards_and_not_to_numbers(
    gpus: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with gpu_lock.taken("auto"):
        assert FileLock(gpu_lock.folder() / "GPU-a.lock").lock_file
        monkeypatch.setattr(gpu_lock, "visible", lambda: ["GPU-b"])  # what a scheduler gave
        with gpu_lock.taken("auto") as device:
            assert device.index == 0
    assert sorted(p.name for p in gpu_lock.folder().iterdir()) == ["GPU-a.lock", "GPU-b.lock"]
