"""The library in a notebook: checkpoints, spectra and activations without a study."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tending.components import DEFAULT
from tending.core import plugins
from tending.core.positions import Position
from tending.families import family
from tending.metrics.similarity import Array
from tending.metrics.statistics import uncertainty
from tending.metrics.statistics.uncertainty import Estimate
from tending.models import checkpoint_record
from tending.stages.spectra.weight_spectra import weight_spectra

SIMILARITY = "tending.metrics.similarity"


@dataclass(frozen=True)
class OpenCheckpoint:
    """A checkpoint on this machine that passed inspection; record holds what was found."""

    record: checkpoint_record.Checkpoint

    def spectra(self) -> dict[str, npt.NDArray[np.float64]]:
        """Singular values of the weights by component; see `stages.spectra.weight_spectra`."""
        kind = family(self.record.family)
        return dict(weight_spectra(kind, self.record.weights(), self.record.config))

    def model(self, device: str = "auto", dtype: str = "float32") -> Any:
        """The causal language model of transformers, ready to read from."""
        from tending.models import loading  # torch and transformers, which spectra do not need

        chosen = loading.choose_device(device)
        return loading.load_model(Path(self.record.folder), dtype, chosen, with_loss=False)


def open_checkpoint(folder: str | Path) -> OpenCheckpoint:
    """Open a checkpoint folder in Hugging Face format.

    Its weights are read once, for their shapes, hashes and values that are not finite. Raises
    CheckpointError naming the file and the remedy, or ValueError if the family is not known.
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
    """Activations of a checkpoint on tokens, (sequences, length), by component.

    position: "last", "all", an index into every sequence, or several. components: names of parts
    of the model that have activations. Returns float32 arrays, rows ordered by sequence and then
    by position: (layers, rows, width), of `embedding` (rows, d_model), and `attention_ov_heads`,
    (layers, heads, rows, d_head), up to a rotation of each head. Raises ValueError if the tokens
    do not fit the model, OutOfMemoryError if one sequence does not.
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
    """A similarity by its name, with standard error, 95 % interval and permutation null.

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. Raises ValueError with
    the known names for an unknown metric, and as the metric does.
    """
    chosen = plugins.load(SIMILARITY, metric, "similarity metric").METRIC
    return uncertainty.estimate(chosen, x, y)
