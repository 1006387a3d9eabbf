"""The device of a job: each job claims one visible GPU that is free.

Snakemake counts GPUs but does not assign them. A job claims a GPU by a file lock, which the system
releases when the process ends, however it ends.
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
    """Return an identifier of every GPU that this process may use, in torch's order.

    Those are all of the machine, those in CUDA_VISIBLE_DEVICES, or those that a scheduler assigned
    to this job. The identifiers are the cards' UUIDs, so that jobs that see different cards under
    the same number do not conflict.
    """
    count = range(torch.cuda.device_count())
    return [str(torch.cuda.get_device_properties(i).uuid) for i in count]


def folder() -> Path:
    """Return the folder of locks on this machine, for all jobs and studies of this user."""
    return Path(tempfile.gettempdir()) / f"tending-gpus-{getuser()}"


@contextmanager
def taken(name: str) -> Iterator[torch.device]:
    """Yield the device called `name`; a GPU is claimed for this job while the block runs.

    `auto` is a GPU if there is one; `auto` and `cuda` are the first visible GPU that is free, and
    `cuda:1` is that one. If none is free the job waits. Raises ValueError if there is no such
    device.
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
    """Return the index of a card, and its lock, held."""
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
            logging.info("all %d GPUs are in use by other jobs; waiting for one", len(cards))
            told = True
        time.sleep(POLL_SECONDS)
