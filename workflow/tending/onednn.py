"""Linear layers by oneDNN on AMD's processors, where torch takes MKL for float32.

There MKL reaches about three quarters of what oneDNN and OpenBLAS do (see docs/performance.md).
oneDNN comes with torch; the operation is the one that torch's compiler puts in a linear layer's
place. Values differ from MKL's by rounding alone. It has no gradient.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

PROCESSOR = Path("/proc/cpuinfo")
VENDOR = "AuthenticAMD"


@contextmanager
def linear_layers(*models: nn.Module) -> Iterator[None]:
    """Within it oneDNN computes the models' linear layers of float32 on the CPU, if it is quicker.

    Only for passes without gradients. Layers that something else computes already are left alone.
    """
    layers = [layer for model in models for layer in _suitable(model)] if quicker() else []
    for layer in layers:
        layer.forward = partial(_linear, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own is there again


@cache
def quicker() -> bool:
    """Whether this is an AMD processor, and torch has oneDNN's linear operation."""
    try:
        vendor = VENDOR in PROCESSOR.read_text("utf-8", errors="replace")
        return vendor and callable(_operation())
    except (OSError, AttributeError):
        return False


def _suitable(model: nn.Module) -> Iterator[Any]:
    for module in model.modules():
        if (
            type(module) is nn.Linear
            and "forward" not in vars(module)
            and module.weight.dtype == torch.float32
            and module.weight.device.type == "cpu"
        ):
            yield module


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    found: Tensor = _operation()(x, layer.weight, layer.bias, "none", [], "")
    return found


def _operation() -> Any:
    return torch.ops.mkldnn._linear_pointwise
