"""Activations of a model at its attention and MLP layers, and its held-out loss. No files.

Only the base model runs; the language-model head is applied to the sequences of the held-out
loss alone, in chunks. Values are read at the probed positions as they are computed, so nothing
of the size of a whole layer's output is kept.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tending.attention_maps import AttentionMaps
from tending.corpus import Tokens
from tending.families import Family, family, published_family

VERSION = 1  # raise it when a change alters the numbers: the workflow then extracts again
LOGITS_PER_CHUNK = 2**24  # 64 MiB in float32

Progress = Callable[[int], None]
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Extraction:
    """How activations are taken.

    position: "last", "all", or an index (negative from the end) into every sequence.
    batch_size: sequences at a time to begin with; halved when memory runs out.
    loss_sequences: how many sequences, the first, to take the held-out loss of; 0 for none.
    published: whether to take the activations of the published definition too.
    """

    position: str | int = "last"
    batch_size: int = 64
    sequences: int = 128
    loss_sequences: int = 0
    published: bool = False


@dataclass(frozen=True)
class Captured:
    """Arrays by component, float32, rows ordered by sequence and then by position.

    attention_ov: (layers, rows, d_model). attention_ov_heads: (layers, heads, rows, d_head), in
    coordinates that have the Gram matrix of the d_model-dimensional values. mlp_out: (layers,
    rows, d_model). held_out_loss: (loss_sequences,) float64, nats per predicted token.
    published: `attention_ov` by the published definition, if it was asked for.
    """

    arrays: dict[str, npt.NDArray[Any]]
    published: dict[str, npt.NDArray[Any]] = field(default_factory=dict)


class OutOfMemoryError(MemoryError):
    """One sequence at a time does not fit."""


def probed(position: str | int, length: int) -> Tensor:
    """Probed positions of a sequence as indices; ValueError if it has no such position."""
    if position == "all":
        return torch.arange(length)
    index = length - 1 if position == "last" else int(position)
    if not -length <= index < length:
        raise ValueError(
            f"position {index} is outside sequences of {length} tokens (see `extraction.position`)"
        )
    return torch.tensor([index % length])


def capture(
    model: Any, tokens: Tokens, settings: Extraction, progress: Progress, warn: Warn
) -> Captured:
    """Run the model over the tokens and keep what the study needs.

    model: a causal language model of transformers. tokens: (sequences, length); the first
    settings.sequences are probed, the first settings.loss_sequences scored. progress(n) is called
    after every n sequences, warn(text) when the batch size is halved. Raises OutOfMemoryError if
    a single sequence does not fit, and ValueError if there are too few sequences, a token is
    outside the vocabulary, the result is not finite, or the published definition is asked for and
    the family has none.
    """
    kind, config = family(model.config.model_type), model.config.to_dict()
    sizes = kind.architecture(config)
    total = max(settings.sequences, settings.loss_sequences)
    if len(tokens) < total:
        raise ValueError(
            f"the corpus has {len(tokens)} sequences, {total} are asked for; make it anew (see "
            f"`corpus.sequences` and `held_out_loss.sequences`)"
        )
    if settings.loss_sequences and tokens.shape[1] < 2:
        raise ValueError(
            "a sequence of one token has no next token to take a loss of; raise `corpus.length` "
            "or set `held_out_loss.sequences` to 0"
        )
    outside = tokens[(tokens < 0) | (tokens >= sizes.vocabulary)]
    if outside.size:
        raise ValueError(
            f"token {outside[0]} is outside the model's vocabulary of {sizes.vocabulary}; the "
            f"corpus was made with another tokenizer (see `corpus`)"
        )
    run = _Run(model, kind, settings, probed(settings.position, tokens.shape[1]))
    with torch.inference_mode():
        batch_size, start = settings.batch_size, 0
        while start < total:
            rows = torch.from_numpy(tokens[start : min(start + batch_size, total)].astype(np.int64))
            try:
                run.batch(rows.to(model.device), start)
            except RuntimeError as error:
                batch_size = _smaller(batch_size, tokens.shape[1], error, warn)
                continue
            start += len(rows)
            progress(len(rows))
    return run.result()


class _Run:
    """One pass over the tokens: the layers' maps, and what has been captured so far."""

    def __init__(self, model: Any, kind: Family, settings: Extraction, positions: Tensor) -> None:
        self.model = model
        self.settings = settings
        self.positions = positions.to(model.device)
        base, config = self.model.base_model, self.model.config.to_dict()
        # detached, or the QR factors would be kept for a backward pass that never comes
        weights = {name: p.detach() for name, p in base.named_parameters()}
        sizes = kind.architecture(config)
        layers, self.logit_cap = range(sizes.layers), sizes.logit_cap
        self.maps = [AttentionMaps(kind.attention(weights, config, i)) for i in layers]
        self.published_maps: list[AttentionMaps] = []
        if settings.published:
            cut = published_family(self.model.config.model_type).published_attention
            self.published_maps = [AttentionMaps(cut(weights, config, i)) for i in layers]
        self.value_modules = [base.get_submodule(kind.value_module(i)) for i in layers]
        self.mlp_modules = [base.get_submodule(kind.mlp_out_module(i)) for i in layers]
        self.done: dict[str, list[Tensor]] = {
            "attention_ov": [],
            "attention_ov_heads": [],
            "mlp_out": [],
        }
        self.published: dict[str, list[Tensor]] = {"attention_ov": []} if settings.published else {}
        self.losses: list[Tensor] = []

    def batch(self, rows: Tensor, start: int) -> None:
        """Run one batch; nothing of it is kept if it fails."""
        wanted = max(0, min(self.settings.sequences - start, len(rows)))
        scored = max(0, min(self.settings.loss_sequences - start, len(rows)))
        with self._hooks(len(rows), wanted) as (inputs, outputs):
            hidden = self.model.base_model(input_ids=rows, use_cache=False).last_hidden_state
        new: dict[str, Tensor] = {}
        published: dict[str, Tensor] = {}
        if wanted:
            pairs = list(zip(self.maps, inputs, strict=True))
            new["attention_ov"] = torch.stack([m.whole(x).cpu() for m, x in pairs])
            new["attention_ov_heads"] = torch.stack([m.heads(x).cpu() for m, x in pairs])
            new["mlp_out"] = torch.stack([x.float().cpu() for x in outputs])
        if wanted and self.published_maps:
            pairs = list(zip(self.published_maps, inputs, strict=True))
            published["attention_ov"] = torch.stack([m.whole(x).cpu() for m, x in pairs])
        losses: list[Tensor] = []
        if scored:
            head = self.model.get_output_embeddings()
            losses = [sequence_losses(head, hidden[:scored], rows[:scored], self.logit_cap).cpu()]
        # from here on nothing is allocated that could fail and leave half of a batch
        self.losses += losses
        for name, values in new.items():
            self.done[name].append(values)
        for name, values in published.items():
            self.published[name].append(values)

    @contextmanager
    def _hooks(self, rows: int, wanted: int) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
        """Collect, for the first `wanted` of `rows`, inputs of W_V and outputs of the MLPs."""
        inputs: list[Tensor] = []
        outputs: list[Tensor] = []

        def keep(into: list[Tensor], x: Tensor) -> None:
            x = x.reshape(rows, -1, x.shape[-1])  # OPT's MLPs see all sequences as one
            into.append(x[:wanted].index_select(1, self.positions).flatten(0, 1))

        handles = [
            m.register_forward_pre_hook(lambda _, args: keep(inputs, args[0]))
            for m in self.value_modules
        ] + [
            m.register_forward_hook(lambda _, __, output: keep(outputs, output))
            for m in self.mlp_modules
        ]
        try:
            yield inputs, outputs
        finally:
            for handle in handles:
                handle.remove()

    def result(self) -> Captured:
        """All batches joined along the rows."""
        arrays = _joined(self.done)
        if self.losses:
            arrays["held_out_loss"] = np.asarray(torch.cat(self.losses).double().numpy())
        captured = Captured(arrays, _joined(self.published))
        for name, array in [*captured.arrays.items(), *captured.published.items()]:
            if not np.isfinite(array).all():
                raise ValueError(
                    f"{name} holds values that are NaN or infinite; with bfloat16 or float16 "
                    f"weights try `extraction.dtype: float32`"
                )
        return captured


def _joined(batches: dict[str, list[Tensor]]) -> dict[str, npt.NDArray[Any]]:
    return {n: np.asarray(torch.cat(parts, dim=-2).numpy()) for n, parts in batches.items()}


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


def _smaller(batch_size: int, length: int, error: RuntimeError, warn: Warn) -> int:
    """Half the batch size if `error` is a lack of memory; otherwise the error goes on."""
    out_of_memory = isinstance(error, torch.OutOfMemoryError) or "can't allocate" in str(error)
    if not out_of_memory:
        raise error
    if batch_size == 1:
        raise OutOfMemoryError(
            f"one sequence of {length} tokens does not fit in memory; shorten `corpus.length`, "
            f"use `extraction.dtype: bfloat16`, or a device with more memory"
        ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    warn(f"out of memory with {batch_size} sequences at a time; going on with {batch_size // 2}")
    return batch_size // 2
