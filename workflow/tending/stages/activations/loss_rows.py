"""Rows of the table of held-out losses and perplexities."""

import numpy as np
import numpy.typing as npt

from tending.core.tables import Columns, Where
from tending.metrics.statistics.means import with_error


def loss_blocks(place: Where, losses: npt.NDArray[np.float64]) -> list[Columns]:
    """Return the mean loss with Student's 95 % interval over sequences, and its standard error.

    losses: (sequences,) in nats per token. A single sequence has neither interval nor error.
    """
    pooled, error = with_error(losses)
    common = {**vars(place), "definition": "correct", "n": [losses.size]}
    ends = {end: float(value) for end, value in pooled._asdict().items()}
    return [
        {**common, "quantity": "held_out_loss", **ends},
        {**common, "quantity": "held_out_loss_standard_error", "value": float(error)},
    ]


def perplexity_blocks(place: Where, losses: npt.NDArray[np.float64]) -> list[Columns]:
    """Return perplexity, exp of the mean loss, with its 95 % interval and standard error.

    losses: (sequences,) in nats per token. The interval is that of the loss, transformed, so it is
    not symmetric. The error is the first-order one, perplexity times the loss's error, which is
    accurate while the latter is well below 1.
    """
    mean, error = (dict(block) for block in loss_blocks(place, losses))
    value = float(np.exp(mean["value"]))
    ends = {end: float(np.exp(mean[end])) for end in ("low", "high")}
    return [
        {**mean, "quantity": "perplexity", "value": value, **ends},
        {**error, "quantity": "perplexity_standard_error", "value": value * error["value"]},
    ]
