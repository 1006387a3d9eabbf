"""Kullback-Leibler divergence of a model's next-token predictions from a reference's. No files.

Both directions use the same two distributions over the tokenizer's tokens: further logits are
padding and left out before the softmax. Logits are float32, as the models return them; everything
else is float64, because near the reference the divergence is a small difference of logarithms.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from tending.core.aliases import Progress, Warn
from tending.core.arrays import Array, Matrix
from tending.corpus import Tokens
from tending.families import family
from tending.models.allocation import keep_freed
from tending.models.onednn import products
from tending.stages.activations.activations import CPU_TOKENS, Extraction, at_once, checked, smaller
from tending.stages.activations.held_out_loss import next_token_logits

VERSION = 1  # increase it when a change alters the numbers: the workflow then recomputes them

LOGITS_PER_CHUNK = 2**22  # 32 MiB in float64, of which a few copies exist at a time

Rows = Callable[[int, int], Array]  # (begin, end) -> those rows of the reference's logits
Result = TypeVar("Result")


@dataclass(frozen=True)
class Predicted:
    """Sequences, positions and tokens at which predictions are compared.

    sequences: number of sequences, from the first. positions: indices into every sequence,
    ascending. vocabulary: number of tokens, which are the first logits. batch_size: initial number
    of sequences per batch; halved when memory runs out.
    """

    sequences: int
    positions: tuple[int, ...]
    vocabulary: int
    batch_size: int = 64


@dataclass(frozen=True)
class Divergences:
    """Divergences in nats between P, the reference's prediction, and Q, the model's.

    Both (sequences, positions). forward: KL(P || Q). reverse: KL(Q || P). Neither is negative,
    except by rounding.
    """

    forward: Matrix
    reverse: Matrix


def divergence(reference: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Compute KL(P || Q) and KL(Q || P) in nats, (rows,), float64; P, Q are softmax of logits.

    reference (for P), logits (for Q): (rows, tokens). Equal logits give exactly 0.
    """
    p, q = (torch.log_softmax(x.double(), dim=-1) for x in (reference, logits))
    difference = p - q
    forward = (p.exp() * difference).sum(dim=-1)
    return forward, -(q.exp() * difference).sum(dim=-1)


def vocabulary(model: Any, tokens: int) -> int:
    """Return the number of logits that belong to tokens; the head may have more rows, or fewer."""
    return min(tokens, int(model.get_output_embeddings().weight.shape[0]))


def logits(
    model: Any, tokens: Tokens, settings: Predicted, progress: Progress, warn: Warn
) -> Iterator[Array]:
    """Yield the model's logits, (rows, tokens) float32, one batch of sequences at a time.

    Rows are ordered by sequence and then by position. model: a causal language model of
    transformers; tokens: (sequences, length). progress(n) is called after every n sequences,
    warn(text) when the batch size is halved. Raises OutOfMemoryError if a single sequence does not
    fit, and ValueError if there are too few sequences, a token is outside the model's vocabulary,
    or a logit is not finite.
    """

    def copied(predicted: Iterator[Tensor], start: int) -> Array:
        return np.concatenate([chunk.cpu().numpy() for chunk in predicted])

    return _batches(model, tokens, settings, copied, progress, warn)


def divergences(
    model: Any, tokens: Tokens, settings: Predicted, reference: Rows, progress: Progress, warn: Warn
) -> Divergences:
    """Compute the model's divergences from a reference at the same sequences and positions.

    reference(begin, end) returns rows of the reference's logits, in the order and shape of
    `logits`. Other arguments and errors are those of `logits`.
    """

    def compared(predicted: Iterator[Tensor], start: int) -> Matrix:
        found, begin = [], start * len(settings.positions)
        for chunk in predicted:
            other = torch.from_numpy(reference(begin, begin + len(chunk)))
            pair = divergence(other.to(chunk.device), chunk)
            found.append(torch.stack(pair).cpu().numpy())
            begin += len(chunk)
        return np.concatenate(found, axis=1)

    batches = _batches(model, tokens, settings, compared, progress, warn)
    forward, reverse = np.concatenate(list(batches), axis=1)
    shape = settings.sequences, len(settings.positions)
    return Divergences(forward.reshape(shape), reverse.reshape(shape))


def _batches(
    model: Any,
    tokens: Tokens,
    settings: Predicted,
    use: Callable[[Iterator[Tensor], int], Result],
    progress: Progress,
    warn: Warn,
) -> Iterator[Result]:
    """Yield `use(chunks of logits, index of the first sequence)` for each batch."""
    kind = family(model.config.model_type).architecture(model.config.to_dict())
    checked(tokens, Extraction(sequences=settings.sequences), kind.vocabulary)
    head_rows = vocabulary(model, settings.vocabulary)
    if head_rows < settings.vocabulary:
        raise ValueError(
            f"the model predicts {head_rows} tokens, the reference {settings.vocabulary}; they are "
            f"checkpoints of different models, so give each a model of its own in `models`"
        )
    keep_freed()
    batch_size, start = at_once(settings.batch_size, tokens, CPU_TOKENS, model.device), 0
    while start < settings.sequences:
        rows = tokens[start : min(start + batch_size, settings.sequences)].astype(np.int64)
        try:
            with torch.inference_mode(), products():
                result = use(_predicted(model, rows, start, settings, kind.logit_cap), start)
        except RuntimeError as error:
            batch_size = smaller(batch_size, tokens.shape[1], error, warn)
            continue
        yield result  # outside the try: a failed batch yields nothing
        start += len(rows)
        progress(len(rows))


def _predicted(
    model: Any, rows: Array, start: int, settings: Predicted, logit_cap: float | None
) -> Iterator[Tensor]:
    """Yield the logits of one batch, (rows, tokens) float32, a bounded number at a time.

    Raises ValueError if a logit is not finite.
    """
    ids = torch.from_numpy(rows).to(model.device)
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    flat = hidden[:, list(settings.positions)].flatten(0, 1)
    head = model.get_output_embeddings()
    step = max(1, LOGITS_PER_CHUNK // int(head.weight.shape[0]))
    for begin in range(0, len(flat), step):
        found = next_token_logits(head, flat[begin : begin + step], logit_cap)
        found = found[:, : settings.vocabulary]
        finite = torch.isfinite(found).all(dim=-1)
        if not finite.all():
            row = begin + int((~finite).nonzero()[0])
            raise ValueError(
                f"the logits of sequence {start + row // len(settings.positions)} hold values that "
                f"are NaN or infinite; with bfloat16 weights try `extraction.dtype: float32`, else "
                f"the checkpoint is damaged or its training diverged: leave its step out"
            )
        yield found
