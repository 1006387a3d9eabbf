"""Files of next-token predictions: the reference's logits, and divergences from them.

A reference: `logits` (sequences x positions, tokens) float32, rows ordered by sequence, then by
position. Divergences: `kl_to_reference` and `kl_to_reference_reversed`, (sequences, positions)
float64, nats. Attributes identify the checkpoint, tokens and positions, and in a file of
divergences also the reference.
"""

from collections.abc import Sequence
from pathlib import Path

from tending.core import store
from tending.core.aliases import Attributes
from tending.models import checkpoint_record
from tending.models.checkpoint_record import Checkpoint
from tending.stages.divergence import divergence
from tending.stages.divergence.divergence import Divergences, Predicted

LOGITS = "logits"
FORWARD = "kl_to_reference"
REVERSE = "kl_to_reference_reversed"

_ALIKE = ("model", "corpus_sha256", "positions", "sequences", "dtype", "divergence_version")


def attributes(
    study: str,
    checkpoint: Checkpoint,
    corpus: Attributes,
    shape: Sequence[int],
    settings: Predicted,
    dtype: str,
    device: str,
) -> Attributes:
    """Return the attributes of a file of either kind; corpus, shape: those of the token file."""
    return {
        **checkpoint_record.attributes(study, checkpoint),
        "corpus_sha256": corpus["corpus_sha256"],
        "tokens_shape": shape,
        "positions": " ".join(map(str, settings.positions)),
        "sequences": settings.sequences,
        "vocabulary": settings.vocabulary,
        "dtype": dtype,
        "device": device,
        "divergence_version": divergence.VERSION,
    }


def check(path: Path, held: Attributes, own: Attributes, reference: Checkpoint) -> None:
    """Raise StoreError if a file of logits has another reference or does not match `own`."""
    expected = {name: own[name] for name in _ALIKE}
    expected |= {"step": reference.step, "weights_sha256": reference.weights_sha256}
    for name, value in expected.items():
        if str(held.get(name)) != str(value):
            raise store.StoreError(
                f"{path} has {name} {held.get(name)}, but {value} is wanted of the reference, step "
                f"{reference.step} of {reference.model}; delete it and run the workflow again"
            )


def write(path: Path, found: Divergences, own: Attributes, reference: Attributes) -> None:
    """Write divergences atomically; reference: attributes of the file of logits."""
    told = {f"reference_{k}": reference[k] for k in ("step", "weights_sha256", "created")}
    arrays = {FORWARD: found.forward, REVERSE: found.reverse}
    store.write_arrays(path, arrays, {**own, **told})
