"""What modules of a running model take in or give out, at the probed positions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Tap:
    """A module to listen at, under a name that several may share, and on which side."""

    name: str
    module: nn.Module
    gives: bool  # its output, otherwise its input


@contextmanager
def listening(
    taps: Sequence[Tap], rows: int, wanted: int, positions: Tensor
) -> Iterator[dict[str, list[Tensor]]]:
    """Collect what passes while the model runs, by name, in the order in which modules run.

    Of the first `wanted` of `rows` sequences, at `positions`: (wanted * positions, width) each.
    Modules may see all sequences as one (as OPT's MLPs do), and give tuples, whose first counts.
    """
    heard: dict[str, list[Tensor]] = {tap.name: [] for tap in taps}

    def keep(name: str, value: Any) -> None:
        x = value[0] if isinstance(value, tuple | list) else value
        x = x.reshape(rows, -1, x.shape[-1])
        heard[name].append(x[:wanted].index_select(1, positions).flatten(0, 1))

    handles = [_hook(tap, keep) for tap in taps if wanted]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def _hook(tap: Tap, keep: Any) -> torch.utils.hooks.RemovableHandle:
    if tap.gives:
        return tap.module.register_forward_hook(lambda _, __, output: keep(tap.name, output))

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep(tap.name, args[0] if args else kwargs["hidden_states"])

    return tap.module.register_forward_pre_hook(before, with_kwargs=True)
