"""A checkpoint opened by a job: its weights on disk, a device claimed, its model on request."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tending.hub import fetching
from tending.models import gpu_lock, lean_transformers, loading
from tending.models.checkpoint_record import Checkpoint

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Opened:
    """A checkpoint whose weights stay on disk, and whose device stays claimed, while it is open."""

    checkpoint: Checkpoint
    device: "torch.device"
    dtype: str

    def load(self, with_loss: bool = True) -> Any:
        """Load the causal language model on the device, or the base model without its head."""
        lean_transformers.import_model_class(self.checkpoint.family)
        return loading.load_model(Path(self.checkpoint.folder), self.dtype, self.device, with_loss)


@contextmanager
def opened(
    checkpoint: Checkpoint, study: str, keep: bool, device: str, dtype: str
) -> Iterator[Opened]:
    """Fetch a checkpoint's weights where they are not on disk, and claim a device for them.

    keep: whether fetched weights stay once everything is derived from them. device: `auto`, `cpu`
    or a device of torch. dtype: of the loaded weights. Both are released at the end of the block.
    """
    with fetching.weights(checkpoint, study, keep), gpu_lock.taken(device) as chosen:
        logging.info("%s in %s on %s", checkpoint.folder, dtype, chosen)
        yield Opened(checkpoint, chosen, dtype)
