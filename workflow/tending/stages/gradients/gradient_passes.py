"""Forward and backward passes of a model that sum up the gradients of some of its parameters."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tending.stages.activations.held_out_loss import summed_loss

Sums = dict[str, Tensor]


class Passes:
    """A model of which some parameters are to have gradients.

    modules: names of those, of the base model, whose parameters are to have them. blocks: names of
    modules whose results are computed again in the backward pass in place of being kept.
    logit_cap: see `Architecture`.
    """

    def __init__(
        self,
        model: Any,
        modules: Collection[str],
        blocks: Sequence[str],
        logit_cap: float | None,
    ) -> None:
        self.model = model
        self._base, self._cap = model.base_model, logit_cap
        self._blocks = [self._base.get_submodule(name) for name in blocks]
        named: Mapping[str, Tensor] = dict(self._base.named_parameters())
        self._needed = {n: p for n, p in named.items() if n.rpartition(".")[0] in modules}

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Gradients for the needed parameters alone, and no dropout; at the end all as it was."""
        flags = [(p, p.requires_grad) for p in self.model.parameters()]
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval().requires_grad_(False)
        for parameter in self._needed.values():
            parameter.requires_grad_(True)
        try:
            with recomputed(self._blocks), torch.enable_grad():
                yield
        finally:
            for parameter, flag in flags:
                parameter.requires_grad_(flag)
            for module, mode in modes:
                module.training = mode

    def sums(self) -> Sums:
        """Zeros for every needed parameter, of float32 or the parameter's own type if finer."""
        return {
            name: torch.zeros_like(p, dtype=torch.promote_types(p.dtype, torch.float32))
            for name, p in self._needed.items()
        }

    def add(self, rows: Tensor, sums: Sums) -> float:
        """Add the gradient of the summed loss of rows (sequences, length + 1); gives the loss.

        If it fails half-way, the sums hold a part and are of no use.
        """
        with self._adding(sums):
            hidden = self._base(input_ids=rows[:, :-1], use_cache=False).last_hidden_state
            head = self.model.get_output_embeddings()
            loss, gradient = summed_loss(head, hidden.detach(), rows[:, 1:], self._cap)
            hidden.backward(gradient)
        return loss

    @contextmanager
    def _adding(self, sums: Sums) -> Iterator[None]:
        """Add each gradient to its sum as soon as it is known, so that not all are held twice."""

        def add(name: str, parameter: Tensor) -> None:
            if parameter.grad is not None:
                sums[name] += parameter.grad
            parameter.grad = None

        needed: dict[str, Any] = dict(self._needed)  # torch leaves the hook's method untyped
        handles = [p.register_post_accumulate_grad_hook(partial(add, n)) for n, p in needed.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            for parameter in self._needed.values():
                parameter.grad = None


@contextmanager
def recomputed(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Have blocks run again in the backward pass in place of keeping what they computed.

    As transformers' gradient checkpointing, which works in training mode only: there some
    families drop out.
    """
    for block in blocks:
        again: Any = partial(
            checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False
        )
        block.forward = again
    try:
        yield
    finally:
        for block in blocks:
            del block.forward  # the class's own is there again
