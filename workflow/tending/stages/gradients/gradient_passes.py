"""Forward and backward passes that sum the gradients of some of a model's parameters."""

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
    """A model for which the gradients of some parameters are computed.

    modules: names of the base model's modules whose parameters need gradients. blocks: names of
    modules whose activations are recomputed in the backward pass instead of being kept. logit_cap:
    see `Architecture`.
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
        """Within this context, enable gradients of the needed parameters only and no dropout.

        Both are restored at the end.
        """
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
        """Return zeros for every needed parameter, in float32 or its own type if more precise."""
        return {
            name: torch.zeros_like(p, dtype=torch.promote_types(p.dtype, torch.float32))
            for name, p in self._needed.items()
        }

    def add(self, rows: Tensor, sums: Sums) -> float:
        """Add the gradient of the summed loss of rows, (sequences, length + 1); return the loss.

        After a failure the sums are incomplete and must be discarded.
        """
        with self._adding(sums):
            hidden = self._base(input_ids=rows[:, :-1], use_cache=False).last_hidden_state
            head = self.model.get_output_embeddings()
            loss, gradient = summed_loss(head, hidden.detach(), rows[:, 1:], self._cap)
            hidden.backward(gradient)
        return loss

    @contextmanager
    def _adding(self, sums: Sums) -> Iterator[None]:
        """Within this context, add each gradient to its sum as soon as it is computed.

        This avoids keeping all gradients in memory twice.
        """

        def add(name: str, parameter: Tensor) -> None:
            if parameter.grad is not None:
                sums[name] += parameter.grad
            parameter.grad = None

        needed: dict[str, Any] = dict(self._needed)  # torch does not type the method below
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
    """Within this context, recompute blocks in the backward pass instead of keeping activations.

    Equivalent to transformers' gradient checkpointing, which is limited to training mode, where
    some families apply dropout.
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
            del block.forward  # restores the class's own method
