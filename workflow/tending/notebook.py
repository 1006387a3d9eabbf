"""Notebook interface: checkpoints, spectra and activations without a study."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tending.components import DEFAULT
from tending.core import plugins
from tending.core.arrays import Array
from tending.core.positions import Position
from tending.families import family
from tending.metrics.statistics import uncertainty
from tending.metrics.statistics.uncertainty import Estimate
from tending.models import checkpoint_record
from tending.stages.spectra.weight_spectra import weight_spectra

SIMILARITY = "tending.metrics.similarity"


@dataclass(frozen=True)
class OpenCheckpoint:
    """A local checkpoint that passed inspection; record holds the findings."""

    record: checkpoint_record.Checkpoint

    def spectra(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the weights' singular values by component; see `stages.spectra.weight_spectra`."""
        kind = family(self.record.family)
        return dict(weight_spectra(kind, self.record.weights(), self.record.config))

    def model(self, device: str = "auto", dtype: str = "float32") -> Any:
        """Load the causal language model with transformers, ready for forward passes."""
        from tending.models import loading  # torch and transformers, which spectra do not need

        chosen = loading.choose_device(device)
        return loading.load_model(Path(self.record.folder), dtype, chosen, with_loss=False)


def open_checkpoint(folder: str | Path) -> OpenCheckpoint:
    """Open a checkpoint folder in Hugging Face format.

    Its weights are read once, to check their shapes, compute their hashes and find values that are
    not finite. Raises CheckpointError naming the file and the remedy, or ValueError if the model
    family is unknown.
    """
    folder = Path(folder).resolve()
    return OpenCheckpoint(checkpoint_record.inspect(folder, folder.name, step=0, revision=""))


def capture(
    checkpoint: OpenCheckpoint | str | Path,
    tokens: npt.ArrayLike,
    *,
    position: Position = "last",
    components: Sequence[str] = DEFAULT,
    batch_size: int = 64,
    device: str = "auto",
    dtype: str = "float32",
) -> dict[str, npt.NDArray[Any]]:
    """Capture a checkpoint's activations on tokens (sequences, length), by component.

    position: "last", "all", an index into every sequence, or several indices. components: names of
    components that have activations. Returns float32 arrays, their rows ordered by sequence and
    then by position: (layers, rows, width), but (rows, d_model) for `embedding` and (layers,
    heads, rows, d_head) for `attention_ov_heads`, which is defined up to a rotation of each head.
    Raises ValueError if the tokens do not fit the model, OutOfMemoryError if a single sequence
    does not fit into memory.
    """
    import logging

    from tending.stages.activations import activations

    if not isinstance(checkpoint, OpenCheckpoint):
        checkpoint = open_checkpoint(checkpoint)
    rows = np.asarray(tokens, dtype=np.int32)
    settings = activations.Extraction(
        position, batch_size, sequences=len(rows), components=tuple(components)
    )
    model = checkpoint.model(device, dtype)
    return activations.capture(model, rows, settings, lambda _: None, logging.warning).arrays


def estimate(metric: str, x: Array, y: Array) -> Estimate:
    """Estimate a similarity by its name, with standard error, 95 % interval and permutation null.

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. Raises ValueError listing
    the known names if the metric is unknown, and whatever the metric itself raises.
    """
    chosen = plugins.load(SIMILARITY, metric, "similarity metric").METRIC
    return uncertainty.estimate(chosen, x, y)
