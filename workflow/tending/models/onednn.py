"""Float32 matrix products by oneDNN where torch's default, MKL, leaves AVX-512 unused.

MKL uses its AVX-512 kernels on Intel's processors only. On others with AVX-512 it reaches a half to
three quarters of the speed of oneDNN and OpenBLAS; without AVX-512, MKL is faster (see
docs/performance.md). oneDNN comes with torch; the operation is the one that torch's compiler
substitutes for a linear layer. Values differ from MKL's by rounding alone. It has no gradient.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

PROCESSOR = Path("/proc/cpuinfo")
SERVED = "GenuineIntel"  # vendor of the processors on which MKL uses AVX-512
LONG = 512  # tokens from which attention in blocks is faster than torch's own
QUERIES = 256  # queries of one head whose scores are held at a time
THREADS = 2  # with more, heads in parallel, as in torch, are faster


@contextmanager
def products() -> Iterator[None]:
    """Let oneDNN compute torch's products while the block runs, where it is faster.

    These are linear layers, as in torch or GPT-2, and causal attention over whole long sequences,
    in float32 on the CPU. Only for passes without gradients.
    """
    if not quicker():
        yield
        return
    with _Products():
        yield


@cache
def quicker() -> bool:
    """Whether MKL leaves this processor's AVX-512 unused, and torch has oneDNN's linear operation.

    This depends on the processor and torch's build, not on a timing, so that all jobs on a machine
    choose alike and their numbers agree to the last bit. ATEN_CPU_CAPABILITY is respected.
    """
    if not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    try:
        served = SERVED in PROCESSOR.read_text("utf-8", errors="replace")
        return not served and callable(_operation())
    except (OSError, AttributeError):
        return False


class _Products(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if (ours := OURS.get(func)) and (found := ours(*args, **named)) is not None:
            return found
        return func(*args, **named)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    """Compute `functional.linear`; None if it is unsuitable for oneDNN. weight: (to, from)."""
    # other layouts cost oneDNN hundreds of times as much
    plain = weight.dim() == 2 and (weight.is_contiguous() or weight.t().is_contiguous())
    return _product(x, weight, bias) if plain and _suitable(x, weight, bias) else None


def _addmm(bias: Tensor, x: Tensor, weight: Tensor, **others: Any) -> Tensor | None:
    """Compute `torch.addmm` with a bias, as GPT-2's layers call it; weight: (from, to)."""
    return None if others or bias.dim() != 1 else _linear(x, weight.t(), bias)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **others: Any,
) -> Tensor | None:
    """Compute `functional.scaled_dot_product_attention`, (batch, heads, length, d_head)."""
    scale = others.pop("scale", None) or query.shape[-1] ** -0.5
    causal = is_causal and attn_mask is None and not dropout_p and query.dim() == 4
    grouped = others.pop("enable_gqa", False) or query.shape[1] == key.shape[1]
    whole = query.shape[-2] == key.shape[-2] >= LONG
    if not (causal and grouped and whole) or others or torch.get_num_threads() > THREADS:
        return None
    return causal_attention(query, key, value, scale) if _suitable(query, key, value) else None


def causal_attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Compute causal attention: softmax of each token's scaled scores up to itself, times values.

    query: (batch, heads, length, d); key, value: (batch, key heads, length, d), each key head
    shared by equally many neighbouring heads. Returns (batch, heads, length, d of the values).
    """
    batch, heads, length, _ = query.shape
    group = heads // key.shape[1]
    query, key, value = (x.contiguous() for x in (query * scale, key, value))
    later = torch.full((QUERIES, QUERIES), -torch.inf).triu_(1)
    found = query.new_empty(batch, length, heads, value.shape[-1])  # the layout for a projection
    for b in range(batch):
        for h in range(heads):
            q, k, v = query[b, h], key[b, h // group], value[b, h // group]
            for begin in range(0, length, QUERIES):
                end = min(begin + QUERIES, length)
                scores = _product(q[begin:end], k[:end])
                scores[:, begin:] += later[: end - begin, : end - begin]
                weights = torch.softmax(scores, dim=-1)
                found[b, begin:end, h] = _product(weights, v[:end].t())
    return found.transpose(1, 2)


OURS: dict[Any, Callable[..., Tensor | None]] = {
    functional.linear: _linear,
    torch.addmm: _addmm,
    functional.scaled_dot_product_attention: _attention,
}


def _suitable(*tensors: Tensor | None) -> bool:
    return not torch.is_grad_enabled() and all(
        x is None or (x.dtype == torch.float32 and x.device.type == "cpu") for x in tensors
    )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    found: Tensor = _operation()(x, weight, bias, "none", [], "")
    return found


def _operation() -> Any:
    return torch.ops.mkldnn._linear_pointwise
