"""Models that run out of memory above a number of sequences."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def room_for(model: Any, sequences: int) -> Iterator[None]:
    """The base model runs out of memory above so many sequences."""

    def refuse(_: Any, __: Any, inputs: dict[str, Tensor]) -> None:
        if len(inputs["input_ids"]) > sequences:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 TiB")

    handle = model.base_model.register_forward_pre_hook(refuse, with_kwargs=True)
    yield
    handle.remove()
