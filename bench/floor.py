"""Limits of this machine: its rate of matrix products, and its memory bandwidth.

No implementation is faster than its operations divided by the rate, or its bytes divided by the
bandwidth, whichever takes longer. Both are measured, not looked up.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bench.measure import Clock, Yardstick
from tending.models import onednn

SIZE = 1536  # of the square matrices: large enough to be limited by arithmetic alone
COPIED = 2**27  # bytes, beyond every cache


class Machine:
    """The yardsticks of one process, with the number of threads it was started with."""

    def __init__(self, now: Clock = time.perf_counter) -> None:
        self._now = now
        self._products: dict[str, Yardstick] = {}
        source = np.ones(COPIED // 8)
        target = np.empty_like(source)
        # a copy reads once and writes once
        self._copy = Yardstick(lambda: np.copyto(target, source), 2 * COPIED)

    def yardsticks(self, precision: str) -> tuple[Yardstick, Yardstick]:
        """Return the yardsticks of matrix products, with the fastest library here, and bandwidth.

        precision: `float32`, or `float32 by torch` for the rate of the library that torch uses.
        """
        if precision not in self._products:
            dtype, _, library = precision.partition(" by ")
            ways = [_torch_product(dtype)]
            if not library and dtype in ("float32", "float64"):
                ways.append(_numpy_product(dtype))
            if not library and dtype == "float32" and onednn.quicker():
                ways.append(_onednn_product())
            self._products[precision] = Yardstick(min(ways, key=self._best), 2.0 * SIZE**3)
        return self._products[precision], self._copy

    def _best(self, run: Callable[[], object]) -> float:
        run()
        times = []
        for _ in range(3):
            begin = self._now()
            run()
            times.append(self._now() - begin)
        return min(times)


def floor(flops: float, moved: float, rates: tuple[float, ...]) -> float:
    """Return the least time for the work at these rates, in seconds."""
    return max(flops / rates[0], moved / rates[1])


def _numpy_product(precision: str) -> Callable[[], object]:
    a = np.random.default_rng(0).standard_normal((SIZE, SIZE)).astype(precision)
    out = np.empty_like(a)
    return lambda: np.matmul(a, a, out=out)


def _onednn_product() -> Callable[[], Any]:
    a = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    layer = torch.nn.Linear(SIZE, SIZE, bias=False)

    def run() -> Any:
        with torch.inference_mode(), onednn.products():
            return layer(a)

    return run


def _torch_product(precision: str) -> Callable[[], Any]:
    dtype = getattr(torch, precision)
    a = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0)).to(dtype)
    out = torch.empty_like(a)
    return lambda: torch.mm(a, a, out=out)
