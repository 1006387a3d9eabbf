"""An extraction as a job runs it, and modules that it must not import."""

from pathlib import Path
from typing import Any

import numpy as np
import tiny
import torch

from tending.models import loading
from tending.stages.activations import activations

# More than a second of imports that no stage uses: SciPy and torch.distributed are said to be
# absent, the compiler is not asked for.
UNUSED = ("scipy", "sklearn", "pandas", "torch.distributed.tensor", "torch.distributed.fsdp")


def extracted(folder: Path) -> dict[str, Any]:
    """Return activations and gradients of a small model, as exact numbers."""
    model = loading.load_model(folder, "float32", torch.device("cpu"))
    tokens = tiny.tokens(4, 12)
    settings = activations.Extraction(sequences=4, loss_sequences=4, batch_size=3)
    made = activations.capture(model, tokens, settings, lambda _: None, print)
    rows = torch.from_numpy(tokens.astype(np.int64))
    model(input_ids=rows, labels=rows).loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return {
        **{name: array.tobytes().hex() for name, array in made.arrays.items()},
        "gradients": [gradient.numpy().tobytes().hex() for gradient in gradients],
    }
