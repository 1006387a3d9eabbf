"""A model's next-token loss of held-out sequences, from its hidden states. No files."""

from typing import Any

import torch
from torch import Tensor, nn

LOGITS_PER_CHUNK = 2**24  # 64 MiB in float32


def sequence_losses(head: Any, hidden: Tensor, rows: Tensor, logit_cap: float | None) -> Tensor:
    """Mean next-token loss of every sequence in nats, (sequences,), float64.

    hidden: (sequences, length, width of the head), rows: (sequences, length); logit_cap: see
    `Architecture`. The logits of a few sequences at a time are held; the log-softmax is taken in
    float32.
    """
    vocabulary = int(head.weight.shape[0])
    step = max(1, LOGITS_PER_CHUNK // (vocabulary * rows.shape[1]))
    losses = []
    for begin in range(0, len(rows), step):
        chunk = slice(begin, begin + step)
        logits = head(hidden[chunk, :-1]).float()
        if logit_cap is not None:
            logits = logit_cap * torch.tanh(logits / logit_cap)
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1), rows[chunk, 1:].flatten(), reduction="none"
        )
        losses.append(loss.view(len(logits), -1).double().mean(dim=1))
    return torch.cat(losses)
