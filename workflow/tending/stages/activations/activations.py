"""Activations of a model, layer by layer, and its held-out loss. No files.

Only the base model runs; the language-model head is applied, in chunks, only to the sequences of
the held-out loss. Values are read at the probed positions as they are computed and passed on after
every batch, so nothing as large as a whole layer's output is kept.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tending.components import DEFAULT, HEADS, Component, component, inapplicable, probing
from tending.core.aliases import Progress, Warn
from tending.core.arrays import Array
from tending.core.positions import Position, indices
from tending.corpus import Tokens
from tending.families import Family, family, published_family
from tending.models.allocation import keep_freed
from tending.models.onednn import products
from tending.stages.activations.attention_maps import AttentionMaps
from tending.stages.activations.batch_buffer import Gathering, Sink, joined
from tending.stages.activations.early_exit import last_layer
from tending.stages.activations.held_out_loss import sequence_losses
from tending.stages.activations.hooks import Tap, listening, narrowing

VERSION = 1  # increase it when a change alters the numbers: the workflow then extracts again

CPU_TOKENS = 512  # per batch, so that intermediate results stay in the cache

LOSS = "held_out_loss"
CIRCUIT = "attention_ov"  # component computed from the hooked values, also per head


@dataclass(frozen=True)
class Extraction:
    """Settings for the extraction of activations.

    position: "last", "all", an index (negative from the end) into every sequence, or several.
    batch_size: initial number of sequences per batch; halved when memory runs out.
    sequences, loss_sequences: numbers of sequences, from the first, to probe and to compute the
    held-out loss of; 0 for none.
    published: whether to extract the activations of the published definition too.
    components: names of components; those without activations are skipped.
    """

    position: Position = "last"
    batch_size: int = 64
    sequences: int = 128
    loss_sequences: int = 0
    published: bool = False
    components: tuple[str, ...] = DEFAULT


@dataclass(frozen=True)
class Captured:
    """Arrays by component, float32, rows ordered by sequence and then by position.

    (layers, rows, width), or (rows, width) for a component that a model has once.
    attention_ov_heads: (layers, heads, rows, d_head), in coordinates that preserve the Gram matrix
    of the d_model-dimensional values. held_out_loss: (loss_sequences,) float64, nats per predicted
    token. published: `attention_ov` by the published definition, if requested.
    """

    arrays: dict[str, Array]
    published: dict[str, Array] = field(default_factory=dict)


class OutOfMemoryError(MemoryError):
    """Raised where not even a single sequence fits in memory."""


class _Memory:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self._parts: dict[bool, dict[str, list[Array]]] = {False: {}, True: {}}

    def append(self, name: str, rows: Array, published: bool = False) -> None:
        self._parts[published].setdefault(name, []).append(rows)

    def joined(self, published: bool) -> dict[str, Array]:
        parts = self._parts[published]
        return {name: joined(arrays) for name, arrays in parts.items()}


def capture(
    model: Any, tokens: Tokens, settings: Extraction, progress: Progress, warn: Warn
) -> Captured:
    """Run `stream` and return its output as whole arrays."""
    memory = _Memory()
    stream(model, tokens, settings, memory, progress, warn)
    return Captured(memory.joined(False), memory.joined(True))


def stream(
    model: Any, tokens: Tokens, settings: Extraction, sink: Sink, progress: Progress, warn: Warn
) -> None:
    """Run the model over the tokens and pass the requested arrays to the sink, batch by batch.

    model: a causal language model of transformers. tokens: (sequences, length); the first
    settings.sequences are probed, the first settings.loss_sequences scored. sink.append receives
    the arrays of `Captured` for one batch or, if that is small, a few batches at a time.
    progress(n) is called after every n sequences, warn(text) when the batch size is halved. Raises
    OutOfMemoryError if a single sequence does not fit, and ValueError if there are too few
    sequences, a token is outside the vocabulary, a result is not finite, or the family lacks a
    requested component or the published definition.
    """
    kind = family(model.config.model_type)
    total = checked(tokens, settings, kind.architecture(model.config.to_dict()).vocabulary)
    positions = torch.tensor(indices(settings.position, tokens.shape[1]))
    keep_freed()
    run, gathered = _Run(model, kind, settings, positions), Gathering(sink)
    with torch.inference_mode(), products():
        batch_size, start = at_once(settings.batch_size, tokens, CPU_TOKENS, model.device), 0
        while start < total:
            rows = torch.from_numpy(tokens[start : min(start + batch_size, total)].astype(np.int64))
            try:
                found = run.batch(rows.to(model.device), start)
            except RuntimeError as error:
                batch_size = smaller(batch_size, tokens.shape[1], error, warn)
                continue
            while found:  # outside the try: a failed batch adds nothing, and arrays are freed
                gathered.append(*found.pop(0))
            gathered.end_of_batch()
            start += len(rows)
            progress(len(rows))
        gathered.flush()


def at_once(batch_size: int, tokens: Tokens, most: int, device: torch.device) -> int:
    """Return the initial batch size; on the CPU at most `most` tokens, as more only cost memory."""
    if device.type != "cpu":
        return batch_size
    length: int = tokens.shape[1]
    return min(batch_size, max(1, most // length))


def checked(tokens: Tokens, settings: Extraction, vocabulary: int) -> int:
    """Return the number of sequences to run; ValueError if the tokens are not suitable."""
    total = max(settings.sequences, settings.loss_sequences)
    if len(tokens) < total:
        raise ValueError(
            f"the corpus has {len(tokens)} sequences, {total} are requested; rebuild it (see "
            f"`corpus.sequences` and `held_out_loss.sequences`)"
        )
    if settings.loss_sequences and tokens.shape[1] < 2:
        raise ValueError(
            "a sequence of one token has no next token to take a loss of; raise `corpus.length` "
            "or set `held_out_loss.sequences` to 0"
        )
    outside = tokens[(tokens < 0) | (tokens >= vocabulary)]
    if outside.size:
        raise ValueError(
            f"token {outside[0]} is outside the model's vocabulary of {vocabulary}; the "
            f"corpus was made with another tokenizer (see `corpus`)"
        )
    return total


class _Run:
    """One pass over the tokens: the layers' attention maps and the hooked modules."""

    def __init__(self, model: Any, kind: Family, settings: Extraction, positions: Tensor) -> None:
        self.model = model
        self.settings = settings
        self.positions = positions.to(model.device)
        base, config = self.model.base_model, self.model.config.to_dict()
        # detached, lest the QR factors be kept for a backward pass that never happens
        weights = {name: p.detach() for name, p in base.named_parameters()}
        sizes = kind.architecture(config)
        layers, self.logit_cap = range(sizes.layers), sizes.logit_cap
        self.parts = _parts(settings.components, self.model.config.model_type, kind)
        circuit = layers if any(part.name == CIRCUIT for part in self.parts) else range(0)
        self.maps = [AttentionMaps(kind.attention(weights, config, i)) for i in circuit]
        self.published_maps: list[AttentionMaps] = []
        if settings.published:
            cut = published_family(self.model.config.model_type).published_attention
            self.published_maps = [AttentionMaps(cut(weights, config, i)) for i in circuit]
        self.taps = []
        for part in self.parts:
            for i in layers if part.layers else layers[:1]:
                probe = probing(part.name).probe(kind, i)
                module = base.get_submodule(probe.module)
                self.taps.append(Tap(part.name, module, gives=probe.side == "output"))
        self.last = last_layer(base, kind, config, self.parts)

    def batch(self, rows: Tensor, start: int) -> list[tuple[str, Array, bool]]:
        """Run one batch; return for each array its name, rows and whether it is published."""
        wanted = max(0, min(self.settings.sequences - start, len(rows)))
        scored = max(0, min(self.settings.loss_sequences - start, len(rows)))
        narrow = narrowing(len(rows), wanted, self.positions)
        last = None if scored else self.last  # the loss needs whole sequences
        ending = nullcontext() if last is None else last.ending(narrow)
        hidden: Any = None
        with (
            listening(self.taps, narrow, wanted > 0, last.heard_narrow if last else ()) as heard,
            ending,
        ):
            hidden = self.model.base_model(input_ids=rows, use_cache=False).last_hidden_state
        found = self._arrays(heard) if wanted else []
        if scored:
            head = self.model.get_output_embeddings()
            losses = sequence_losses(head, hidden[:scored], rows[:scored], self.logit_cap)
            found.append((LOSS, losses.cpu(), False))
        return [(name, _finite(name, tensor), published) for name, tensor, published in found]

    def _arrays(self, heard: Mapping[str, list[Tensor]]) -> list[tuple[str, Tensor, bool]]:
        """Convert the hooked values to the arrays that are kept, layers first."""
        found = []
        for part in self.parts:
            values = heard[part.name]
            if part.name == CIRCUIT:
                pairs = [(m, m.values(x)) for m, x in zip(self.maps, values, strict=True)]
                heads = torch.stack([m.heads(v).cpu() for m, v in pairs])
                found.append((f"{CIRCUIT}{HEADS}", heads, False))
                found.append((CIRCUIT, torch.stack([m.whole(v).cpu() for m, v in pairs]), False))
            elif part.layers:
                found.append((part.name, torch.stack([x.float().cpu() for x in values]), False))
            else:
                found.append((part.name, values[0].float().cpu(), False))
        if self.published_maps:
            cut = zip(self.published_maps, heard[CIRCUIT], strict=True)
            found.append((CIRCUIT, torch.stack([m.whole(m.values(x)).cpu() for m, x in cut]), True))
        return found


def _parts(names: Sequence[str], model_type: str, kind: Family) -> list[Component]:
    """Return the named components that have activations; ValueError if the family lacks one."""
    parts = [part for part in map(component, names) if part.activations]
    for part in parts:
        if problem := inapplicable(part, model_type, kind):
            raise ValueError(problem)
    return parts


def _finite(name: str, values: Tensor) -> Array:
    """Convert to an array; ValueError if a value is not finite."""
    array = np.asarray(values.numpy())
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} holds values that are NaN or infinite; with bfloat16 or float16 "
            f"weights try `extraction.dtype: float32`"
        )
    return array


def lacks_memory(error: RuntimeError) -> bool:
    """Return whether an error from torch means that memory ran out, on a GPU or the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate" in str(error)


def smaller(batch_size: int, length: int, error: RuntimeError, warn: Warn) -> int:
    """Halve the batch size if `error` means that memory ran out; otherwise raise it again.

    Raises OutOfMemoryError if the batch is a single sequence already.
    """
    if not lacks_memory(error):
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
