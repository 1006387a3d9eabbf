"""A model's next-token loss of held-out sequences, from its hidden states. No files."""

from typing import Any

import torch
from torch import Tensor, nn

LOGITS_PER_CHUNK = 2**24  # 64 MiB in float32


def next_token_logits(head: Any, hidden: Tensor, logit_cap: float | None) -> Tensor:
    """What the model's softmax is taken of, (..., rows of the head), float32.

    hidden: (..., width of the head); logit_cap: see `Architecture`.
    """
    logits: Tensor = head(hidden).float()
    return logits if logit_cap is None else logit_cap * torch.tanh(logits / logit_cap)


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
        loss = token_losses(head, hidden[chunk, :-1], rows[chunk, 1:], logit_cap)
        losses.append(loss.double().mean(dim=1))
    return torch.cat(losses)


def summed_loss(
    head: Any, hidden: Tensor, targets: Tensor, logit_cap: float | None
) -> tuple[float, Tensor]:
    """Summed loss of all tokens in nats, and its gradient by the hidden states.

    hidden: (sequences, length, width of the head) before each token of targets (sequences,
    length). The logits of a few sequences at a time are held, and nothing of the head's gradient.
    """
    step = max(1, LOGITS_PER_CHUNK // (int(head.weight.shape[0]) * targets.shape[1]))
    gradients: list[Tensor] = []
    total = 0.0
    for begin in range(0, len(targets), step):
        chunk = slice(begin, begin + step)
        part = hidden[chunk].detach().requires_grad_()
        losses = token_losses(head, part, targets[chunk], logit_cap)
        gradients += torch.autograd.grad(losses.sum(), [part])
        total += float(losses.detach().double().sum())
    return total, torch.cat(gradients)


def token_losses(head: Any, hidden: Tensor, targets: Tensor, logit_cap: float | None) -> Tensor:
    """Loss of every token in nats, (sequences, length), float32.

    hidden: (sequences, length, width of the head) before each token of targets (sequences,
    length). The logits of all are held.
    """
    logits = next_token_logits(head, hidden, logit_cap)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return loss.view(len(targets), -1)
