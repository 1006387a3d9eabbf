"""Hooks on a model's modules that collect their inputs or outputs at the probed positions."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Narrow = Callable[[Tensor], Tensor]  # (rows, length, width) to (rows, positions, width)


@dataclass(frozen=True)
class Tap:
    """A module to hook, the name it is collected under, which several may share, and the side."""

    name: str
    module: nn.Module
    gives: bool  # hook its output, otherwise its input


def narrowing(rows: int, wanted: int, positions: Tensor) -> Narrow:
    """Return a function that keeps the first `wanted` of `rows` sequences, at `positions`.

    It maps (rows, length, width), or all sequences flattened into one as in OPT's MLPs, to
    (wanted, positions, width).
    """

    def narrow(x: Tensor) -> Tensor:
        x = x.reshape(rows, -1, x.shape[-1])
        return x[:wanted].index_select(1, positions)

    return narrow


@contextmanager
def listening(
    taps: Sequence[Tap], narrow: Narrow, wanted: bool, narrowed: Collection[nn.Module] = ()
) -> Iterator[dict[str, list[Tensor]]]:
    """Collect values of the hooked modules by name, in the order in which the modules run.

    Values are passed through `narrow` and flattened to (sequences * positions, width); nothing is
    collected unless `wanted`. Modules in `narrowed` already receive narrowed values. If a module
    returns a tuple, its first element is collected.
    """
    heard: dict[str, list[Tensor]] = {tap.name: [] for tap in taps}

    def keep(tap: Tap, value: Any) -> None:
        x = value[0] if isinstance(value, tuple | list) else value
        x = x if tap.module in narrowed else narrow(x)
        heard[tap.name].append(x.flatten(0, 1))

    handles = [_hook(tap, keep) for tap in taps if wanted]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def _hook(tap: Tap, keep: Any) -> torch.utils.hooks.RemovableHandle:
    if tap.gives:
        return tap.module.register_forward_hook(lambda _, __, output: keep(tap, output))

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep(tap, args[0] if args else kwargs["hidden_states"])

    return tap.module.register_forward_pre_hook(before, with_kwargs=True)
