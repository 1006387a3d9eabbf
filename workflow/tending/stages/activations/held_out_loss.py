"""Next-token loss of a model on held-out sequences, from its hidden states. No files."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

LOGITS_PER_CHUNK = 2**22  # 16 MiB in float32, of which two or three copies exist at a time


def next_token_logits(head: Any, hidden: Tensor, logit_cap: float | None) -> Tensor:
    """Compute the logits, (..., rows of the head), float32.

    hidden: (..., width of the head); logit_cap: see `Architecture`.
    """
    logits: Tensor = head(hidden).float()
    return logits if logit_cap is None else logit_cap * torch.tanh(logits / logit_cap)


def sequence_losses(head: Any, hidden: Tensor, rows: Tensor, logit_cap: float | None) -> Tensor:
    """Compute the mean next-token loss of every sequence in nats, (sequences,), float64.

    hidden: (sequences, length, width of the head), rows: (sequences, length); logit_cap: see
    `Architecture`. Logits are computed for a chunk of tokens at a time; the log-softmax is in
    float32.
    """
    flat, targets = hidden[:, :-1].flatten(0, 1), rows[:, 1:].flatten()
    losses = flat.new_empty(len(targets), dtype=torch.float32)
    for part in _parts(head, targets):
        losses[part] = token_losses(head, flat[part], targets[part], logit_cap)
    return losses.double().view(len(rows), -1).mean(dim=1)


def summed_loss(
    head: Any, hidden: Tensor, targets: Tensor, logit_cap: float | None
) -> tuple[float, Tensor]:
    """Compute the summed loss of all tokens in nats, and its gradient by the hidden states.

    hidden: (sequences, length, width of the head) before each token of targets (sequences,
    length). Logits are computed for a chunk of tokens at a time, without the head's gradient.
    """
    flat, wanted = hidden.detach().flatten(0, 1), targets.flatten()
    gradient, total = torch.empty_like(flat), 0.0
    for part in _parts(head, wanted):
        piece = flat[part].requires_grad_()
        losses = token_losses(head, piece, wanted[part], logit_cap)
        gradient[part] = torch.autograd.grad(losses.sum(), [piece])[0]
        total += float(losses.detach().double().sum())
    return total, gradient.view_as(hidden)


def token_losses(head: Any, hidden: Tensor, targets: Tensor, logit_cap: float | None) -> Tensor:
    """Compute the loss of every token in nats, (tokens,), float32.

    hidden: (tokens, width of the head) before each of the targets (tokens,). All logits are in
    memory at once.
    """
    logits = next_token_logits(head, hidden, logit_cap)
    return nn.functional.cross_entropy(logits, targets, reduction="none")


def _parts(head: Any, targets: Tensor) -> Iterator[slice]:
    """Return slices of tokens whose logits are computed at a time."""
    step = max(1, LOGITS_PER_CHUNK // int(head.weight.shape[0]))
    return (slice(begin, begin + step) for begin in range(0, len(targets), step))
