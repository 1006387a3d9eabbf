"""Freed memory stays with the process, where the C library can be told so."""

import ctypes
import platform
import subprocess
import sys
from typing import Any

import pytest

from tending.models import allocation

glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc has the thresholds that are set"
)

FAULTS = """
import resource
import numpy as np
from tending.models.allocation import keep_freed

def faults():
    begin = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):  # three blocks of 6 MiB, held and freed together, as in a layer
        blocks = [np.ones(6 * 2**17) for _ in range(3)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begin

faults()
plain = faults()
assert keep_freed()
faults()
print(plain, faults())
"""


@glibc
def test_pages_are_cleared_once() -> None:
    """Otherwise every one of the 20 times: 4,608 pages of 4 KiB, or nine of 2 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], stdout=subprocess.PIPE, text=True, check=True
    )
    plain, kept = map(int, done.stdout.split())
    assert 100 * kept < plain


class Library:
    """A C library, of which some can be told."""

    def __init__(self, *answers: int) -> None:
        self.asked: list[tuple[int, int]] = []
        self._answers = list(answers)

    def mallopt(self, option: int, value: int) -> int:
        self.asked.append((option, value))
        return self._answers.pop(0)


def told(library: Any, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    return allocation.keep_freed.__wrapped__()


def test_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(1, 1)
    assert told(library, monkeypatch)
    assert library.asked == [(-1, 64 * 2**20), (-3, 32 * 2**20)]
    assert not told(Library(1, 0), monkeypatch)
    assert not told(Library(0), monkeypatch)


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not told(object(), monkeypatch)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: ctypes.cdll.LoadLibrary("no such library"))
    assert not allocation.keep_freed.__wrapped__()
