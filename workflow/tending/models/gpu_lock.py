"""Which device a job computes on: where there are several GPUs, one that no other job has.

Snakemake counts GPUs and does not assign them. A job takes a GPU by a file lock, which the system
lets go of with the process, however that ends.
"""

import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from tending.models.loading import choose_device

POLL_SECONDS = 0.5


def visible() -> list[str]:
    """An identifier of every GPU that this process may use, in torch's order.

    Those are all of the machine, those in CUDA_VISIBLE_DEVICES, or those that a scheduler gave
    this job. The identifiers are the cards' own: jobs that see other cards under the same number
    do not get into each other's way.
    """
    count = range(torch.cuda.device_count())
    return [str(torch.cuda.get_device_properties(i).uuid) for i in count]


def folder() -> Path:
    """Where this machine's locks are, of this user's jobs of any study."""
    return Path(tempfile.gettempdir()) / f"tending-gpus-{getuser()}"


@contextmanager
def taken(name: str) -> Iterator[torch.device]:
    """The device called `name`, and of GPUs one that no other job has while the block runs.

    `auto` is a GPU where there is one; `auto` and `cuda` are the first free GPU of those visible,
    and `cuda:1` is that one. Where none is free the job waits. Raises ValueError if the named
    device is not there.
    """
    device = choose_device(name)
    if device.type != "cuda":
        yield device
        return
    cards = dict(enumerate(visible()))
    wanted = cards if device.index is None else {device.index: cards[device.index]}
    index, lock = _first_free(wanted)
    try:
        torch.cuda.set_device(index)
        yield torch.device("cuda", index)
    finally:
        lock.release()


def _first_free(cards: dict[int, str]) -> tuple[int, FileLock]:
    """Index of a card, and its lock, held."""
    folder().mkdir(parents=True, exist_ok=True)
    locks = {index: FileLock(folder() / f"{card}.lock") for index, card in cards.items()}
    told = False
    while True:
        for index, lock in locks.items():
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            logging.info("computing on GPU %d (%s)", index, cards[index])
            return index, lock
        if not told:
            logging.info("all %d GPUs are taken by other jobs; waiting for one", len(cards))
            told = True
        time.sleep(POLL_SECONDS)
