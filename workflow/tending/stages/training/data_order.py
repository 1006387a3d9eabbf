"""Order of the training data of the embedded suite; no torch."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tending.corpus import Tokens


def rows(
    tokens: Tokens, step: int, *, batch: int, sequence_length: int, seed: int
) -> npt.NDArray[Any]:
    """Return the rows of update `step`, (batch, sequence_length + 1).

    Each epoch is a seeded permutation. tokens: the training stream. batch, sequence_length, seed:
    from the recipe. Update t, counted from 0, leads from checkpoint t to checkpoint t + 1. Raises
    ValueError if the stream is too short for one batch.
    """
    width = sequence_length + 1
    cut = tokens[: tokens.size // width * width].reshape(-1, width)
    per_epoch = cut.shape[0] // batch
    if per_epoch == 0:
        raise ValueError(f"{cut.shape[0]} training rows of {width} tokens; a batch is {batch}")
    epoch, position = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(cut.shape[0])
    return np.asarray(cut[order[position * batch : (position + 1) * batch]])
