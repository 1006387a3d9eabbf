"""Float32 products by oneDNN where torch's own library leaves AVX-512 unused.

MKL uses its AVX-512 kernels on Intel's processors only. On others with AVX-512 it reaches a half to
three quarters of the rate of oneDNN and OpenBLAS; without AVX-512, MKL is the faster one (see
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
LONG = 512  # tokens from where on attention in parts is quicker than torch's own
QUERIES = 256  # of one head, whose scores are held at a time
THREADS = 2  # with more, heads side by side, as torch has them, are quicker


@contextmanager
def products() -> Iterator[None]:
    """Within it oneDNN computes what torch's functions are asked for, where it is quicker.

    Linear layers, as torch or GPT-2 have them, and causal attention over whole long sequences, of
    float32 on the CPU. Only for passes without gradients.
    """
    if not quicker():
        yield
        return
    with _Products():
        yield


@cache
def quicker() -> bool:
    """Whether MKL leaves this processor's AVX-512 unused, and torch has oneDNN's linear operation.

    It follows from the processor and torch's build, not from a timing, so that all jobs on one
    machine choose alike and their numbers agree to the last bit. ATEN_CPU_CAPABILITY counts.
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
    """`functional.linear`; None where it is not for oneDNN. weight: (to, from)."""
    # of other layouts oneDNN makes hundreds of times the work
    plain = weight.dim() == 2 and (weight.is_contiguous() or weight.t().is_contiguous())
    return _product(x, weight, bias) if plain and _suitable(x, weight, bias) else None


def _addmm(bias: Tensor, x: Tensor, weight: Tensor, **others: Any) -> Tensor | None:
    """`torch.addmm` of a bias, as GPT-2's layers call it; weight: (from, to)."""
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
    """`functional.scaled_dot_product_attention`, (batch, heads, length, d_head)."""
    scale = others.pop("scale", None) or query.shape[-1] ** -0.5
    causal = is_causal and attn_mask is None and not dropout_p and query.dim() == 4
    grouped = others.pop("enable_gqa", False) or query.shape[1] == key.shape[1]
    whole = query.shape[-2] == key.shape[-2] >= LONG
    if not (causal and grouped and whole) or others or torch.get_num_threads() > THREADS:
        return None
    return causal_attention(query, key, value, scale) if _suitable(query, key, value) else None


def causal_attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Softmax of scaled scores, of each token with those up to it, times values.

    query: (batch, heads, length, d); key, value: (batch, key heads, length, d), each key head for
    as many neighbouring heads. Gives (batch, heads, length, d of the values).
    """
    batch, heads, length, _ = query.shape
    group = heads // key.shape[1]
    query, key, value = (x.contiguous() for x in (query * scale, key, value))
    later = torch.full((QUERIES, QUERIES), -torch.inf).triu_(1)
    found = query.new_empty(batch, length, heads, value.shape[-1])  # as a projection wants it
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
