"""Gradients of a model's loss, batch by batch, and the measurements of them. No files.

The gradient is that of the mean token loss over a whole batch: every sequence has the same weight,
whatever the micro-batch. A gradient is kept only until the next batch, with which it is compared.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tending import components as parts
from tending.components._weights import ModelWeights, Shape
from tending.core.aliases import Progress, Warn
from tending.core.arrays import Floats
from tending.corpus import Tokens
from tending.families import Architecture, Family, family
from tending.stages.activations.activations import OutOfMemoryError, at_once, lacks_memory
from tending.stages.gradients.gradient_passes import Passes
from tending.stages.gradients.gradient_spectra import Measured, Part, measured

VERSION = 1  # increase it when a change alters the numbers: the workflow then recomputes them

CPU_TOKENS = 1024  # per micro-batch
DEFAULT = ("attention_ov", "mlp_out", "attention_output", "attention_value")

Gradient = dict[str, npt.NDArray[Any]]  # by parameter of the base model, float32


@dataclass(frozen=True)
class Settings:
    """Settings for computing gradients.

    components: names of components. micro_batch: initial number of sequences at a time; halved
    when memory runs out. checkpointing: recompute every block in the backward pass instead of
    keeping its activations; about a third slower, with the same gradient.
    """

    components: tuple[str, ...] = DEFAULT
    micro_batch: int = 32
    checkpointing: bool = False


@dataclass(frozen=True)
class BatchGradient:
    """The gradient of one batch; arrays float64 by dataset, layers first, as in files of spectra.

    loss: mean token loss of the whole batch, nats. spectra: singular values, descending, (layers,
    values) or (layers, heads, values). norms: Frobenius norms, (layers,) or (layers, heads).
    cosines: with the gradient of the previous batch, likewise; NaN where one of the two is 0; empty
    for the first batch. shapes: shapes of the matrices, for datasets of a single matrix each.
    """

    loss: float
    spectra: dict[str, Floats]
    norms: dict[str, Floats]
    cosines: dict[str, Floats] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)


def of_batches(
    model: Any,
    batches: Iterable[tuple[str, Tokens]],
    settings: Settings,
    progress: Progress,
    warn: Warn,
) -> Iterator[BatchGradient]:
    """Compute gradients of the mean token loss over each batch, in order.

    model: a causal language model of transformers; during the computation it has no dropout, and
    only the needed parameters have gradients. batches: (name, such as "training step 12", tokens
    (sequences, length + 1)); token t + 1 is predicted from those up to t. progress(n) is called
    after every n sequences, warn(text) when the micro-batch is halved, after which the batch
    restarts. Raises FloatingPointError naming the batch if its loss or gradient is not finite,
    OutOfMemoryError if a single sequence does not fit, and ValueError if a batch has no sequences,
    sequences of fewer than two tokens or a token outside the vocabulary, if a component has no
    gradients, or if the family lacks it.
    """
    config, name = model.config.to_dict(), str(model.config.model_type)
    kind = family(name)
    sizes = kind.architecture(config)
    modules = _modules(settings.components, name, kind, sizes)
    blocks = [kind.block_module(i) for i in range(sizes.layers)] if settings.checkpointing else []
    passes = Passes(model, modules, blocks, sizes.logit_cap)
    summing = _Summing(passes, sizes, settings.micro_batch, progress, warn)
    weights = ModelWeights(kind, _Arrays(dict(model.base_model.named_parameters())), config)
    taken = [Part.named(part) for part in settings.components]
    before: Gradient | None = None
    with passes.ready():
        for batch, tokens in batches:
            loss, gradient = summing.mean(batch, tokens)
            found = measured(weights, taken, gradient, before)
            before = gradient
            yield _gradient(loss, found)


def _gradient(loss: float, found: Measured) -> BatchGradient:
    return BatchGradient(loss, found.spectra, found.norms, found.cosines, found.shapes)


def _modules(
    components: Iterable[str], model_type: str, kind: Family, sizes: Architecture
) -> set[str]:
    """Return the modules that hold the components' weights; ValueError if one lacks gradients."""
    found: set[str] = set()
    for part in map(parts.component, components):
        if not part.gradients:
            known = ", ".join(parts.with_gradients())
            raise ValueError(f"{part.name} has no gradients; components that have: {known}")
        if problem := parts.inapplicable(part, model_type, kind, "gradients.components"):
            raise ValueError(problem)
        file = parts.trained(part.name)
        found |= {module for i in range(sizes.layers) for module in file.modules(kind, i)}
    return found


class _Arrays(Mapping[str, Any]):
    """Parameters as arrays of float32 or a more precise type, converted on access."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return _array(self._tensors[name].detach())

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    finer = torch.promote_types(tensor.dtype, torch.float32)
    return np.asarray(tensor.to("cpu", finer).numpy())


class _Summing:
    """Gradients of whole batches, with micro-batches as large as memory has allowed so far."""

    def __init__(
        self, passes: Passes, sizes: Architecture, size: int, progress: Progress, warn: Warn
    ) -> None:
        self._passes, self._sizes = passes, sizes
        self._micro_batch, self._progress, self._warn = size, progress, warn

    def mean(self, name: str, tokens: Tokens) -> tuple[float, Gradient]:
        """Compute the mean token loss of a batch and its gradient."""
        _check(name, tokens, self._sizes.vocabulary)
        reported = 0

        def report(done: int) -> None:
            nonlocal reported
            if done > reported:  # a restarted batch has already reported some sequences
                self._progress(done - reported)
                reported = done

        while True:
            device = self._passes.model.device
            possible = at_once(self._micro_batch, tokens[:, 1:], CPU_TOKENS, device)
            tried = min(possible, len(tokens))
            try:
                return self._attempt(name, tokens, tried, report)
            except RuntimeError as error:
                smaller = _smaller(name, tried, tokens.shape[1] - 1, error)
            # outside `except`, because the error keeps computed tensors alive
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._warn(
                f"{name}: out of memory with {tried} sequences at a time; restarting the batch "
                f"with {smaller}"
            )
            self._micro_batch = smaller

    def _attempt(
        self, name: str, tokens: Tokens, micro_batch: int, report: Progress
    ) -> tuple[float, Gradient]:
        """Compute loss and gradient as `mean` does, or raise; a failed attempt leaves nothing."""
        device, total, sums = self._passes.model.device, 0.0, self._passes.sums()
        for start in range(0, len(tokens), micro_batch):
            rows = torch.from_numpy(tokens[start : start + micro_batch].astype(np.int64))
            total += self._passes.add(rows.to(device), sums)
            if not np.isfinite(total):
                raise _not_finite(name, f"a loss of {total}")
            report(start + len(rows))
        predicted = tokens[:, 1:].size
        for parameter, summed in sums.items():
            if not torch.isfinite(summed).all():
                raise _not_finite(name, f"a gradient of {parameter} that is not finite")
        # ASSUME: divided once, by all predicted tokens; a mean over micro-batches' means would
        # give the sequences of a smaller last one more weight.
        return total / predicted, {n: _array(s.div_(predicted)) for n, s in sums.items()}


def _check(name: str, tokens: Tokens, vocabulary: int) -> None:
    """Raise ValueError if the tokens of a batch are not suitable."""
    if tokens.ndim != 2 or not len(tokens):
        raise ValueError(
            f"{name}: expected tokens of shape (sequences, length + 1), got {tokens.shape}; see "
            f"`gradients` in the config"
        )
    if tokens.shape[1] < 2:
        raise ValueError(
            f"{name}: sequences of {tokens.shape[1]} token have no next token to take a loss of; "
            f"use longer ones"
        )
    outside = tokens[(tokens < 0) | (tokens >= vocabulary)]
    if outside.size:
        raise ValueError(
            f"{name}: token {outside[0]} is outside the model's vocabulary of {vocabulary}; the "
            f"batch was made with another tokenizer"
        )


def _not_finite(name: str, what: str) -> FloatingPointError:
    return FloatingPointError(
        f"{name}: the model has {what}; with bfloat16 weights try `extraction.dtype: float32`; if "
        f"the training itself broke down there, leave the step out of `steps`"
    )


def _smaller(name: str, micro_batch: int, length: int, error: RuntimeError) -> int:
    """Halve the micro-batch if `error` means that memory ran out; otherwise raise it again.

    Raises OutOfMemoryError if the micro-batch is a single sequence already.
    """
    if not lacks_memory(error):
        raise error
    if micro_batch == 1:
        raise OutOfMemoryError(
            f"{name}: the gradient of one sequence of {length} tokens does not fit in memory; set "
            f"`gradients.checkpointing: true`, use `extraction.dtype: bfloat16`, or a device with "
            f"more memory"
        ) from error
    return micro_batch // 2
