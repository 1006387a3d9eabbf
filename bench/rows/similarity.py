"""CKA and debiased CKA of one checkpoint with the reference, for every layer and head."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from bench.measure import Row, installed
from tending.core import plugins
from tending.stages.convergence.comparison import compare

Array = npt.NDArray[np.float32]
Score = Callable[[Array, Array], object]

SIZES = {  # d_model, heads, measured layers, all layers
    "160m": (768, 12, 6, 12),
    "410m": (1024, 16, 3, 24),
}
N, D_HEAD = 128, 64
FASTER, INTERVALS = 20.0, 1 / 5  # targets: over feature space; with intervals over scores alone
METRICS = {
    name: plugins.load("tending.metrics.similarity", name, "similarity metric").METRIC
    for name in ("cka", "cka_debiased")
}


@dataclass(frozen=True)
class Sides:
    """Activations of one checkpoint, by component, (layers, [heads,] n, width)."""

    arrays: dict[str, Array]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes by component."""
        return {name: array.shape for name, array in self.arrays.items()}

    def matrix(self, name: str, index: tuple[int, ...]) -> Array:
        """Return the matrix of one layer or head."""
        return self.arrays[name][index]


def rows(threads: int) -> Iterator[Row]:
    """Yield rows against feature space, d x d, and against packages.

    Heads are taken both as a hook returns them and as they are stored.
    """
    for size in SIZES:
        yield from _rows(size)


def _rows(size: str) -> Iterator[Row]:
    d, heads, layers, every = SIZES[size]
    shape = f"{size}, {layers} of {every} layers, n = {N}"
    here, there = activations(d, heads, layers, D_HEAD)
    wide = activations(d, heads, layers, d)  # heads' outputs before reduction to d_head columns
    pairs = layers * heads, layers * 2
    grams = 2.0 * N**2 * (pairs[0] * D_HEAD + pairs[1] * d)
    triangles = 2.0 * N**3 * sum(pairs)

    def score() -> object:
        return [
            metric.compare(x, y) for x, y in matrices(here, there) for metric in METRICS.values()
        ]

    def estimate() -> object:
        return compare(here, there, list(here.arrays), METRICS, _warn)

    read = 8.0 * sum(array.size for array in here.arrays.values())
    name = "CKA and debiased CKA, all layers and heads"
    alone = partial(Row, f"{name}, scores", shape, score, flops=grams, bytes=read)
    named = f"{name}, with intervals and nulls"
    whole = partial(Row, named, shape, estimate, flops=grams + triangles, bytes=read)
    hooked = "feature space, NumPy, scores alone, heads as d-wide outputs"
    stored = "feature space, NumPy, scores alone, heads as stored (d_head wide)"
    yield whole(lambda: scored(*wide, features), hooked)
    yield alone(lambda: scored(*wide, features), hooked, target=FASTER)
    yield alone(lambda: scored(here, there, features), stored)
    yield whole(score, "our scores alone", target=INTERVALS)
    if installed("ckatorch"):
        yield alone(lambda: scored(here, there, _ckatorch), "ckatorch 1.0.3, heads as stored")
    if installed("repsim"):
        yield alone(lambda: scored(here, there, _repsim), "repsim 0.1.5, heads as stored")


def activations(d: int, heads: int, layers: int, width: int) -> tuple[Sides, Sides]:
    """Draw activations of a checkpoint, and of a reference that adds noise to them."""
    rng = np.random.default_rng(0)
    shapes = {
        "attention_ov_heads": (layers, heads, N, width),
        "attention_ov": (layers, N, d),
        "mlp_out": (layers, N, d),
    }
    here = {name: rng.standard_normal(s, dtype=np.float32) for name, s in shapes.items()}
    noise = {name: rng.standard_normal(s, dtype=np.float32) for name, s in shapes.items()}
    return Sides(here), Sides({name: here[name] + noise[name] for name in shapes})


def matrices(here: Sides, there: Sides) -> Iterator[tuple[Array, Array]]:
    """Yield both sides of every layer and head."""
    for name, array in here.arrays.items():
        for index in np.ndindex(*array.shape[:-2]):
            yield here.matrix(name, index), there.matrix(name, index)


def scored(here: Sides, there: Sides, score: Score) -> list[object]:
    """Compute a score for every layer and head."""
    return [score(x, y) for x, y in matrices(here, there)]


def features(x: Array, y: Array) -> tuple[float, float]:
    """Compute both scores from d x d products, as in the code of Kornblith et al. (2019)."""
    return linear_cka(x, y), debiased_cka(x, y)


def linear_cka(x: Array, y: Array) -> float:
    """Compute biased CKA from features."""
    a, b = _centred(x), _centred(y)
    norms = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(np.linalg.norm(a.T @ b) ** 2 / norms)


def debiased_cka(x: Array, y: Array) -> float:
    """Compute debiased CKA from features."""
    a, b = _centred(x), _centred(y)
    p, q = np.einsum("ij,ij->i", a, a), np.einsum("ij,ij->i", b, b)
    xy = _unbiased(np.linalg.norm(a.T @ b) ** 2, p, q)
    xx = _unbiased(np.linalg.norm(a.T @ a) ** 2, p, p)
    yy = _unbiased(np.linalg.norm(b.T @ b) ** 2, q, q)
    return float(xy / np.sqrt(xx * yy))


def _unbiased(inner: np.floating, p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    n = len(p)
    return float(inner - n / (n - 2) * (p @ q) + p.sum() * q.sum() / ((n - 1) * (n - 2)))


def _centred(x: Array) -> npt.NDArray[np.float64]:
    wide = x.astype(np.float64)
    return wide - wide.mean(axis=0)


def _ckatorch(x: Array, y: Array) -> object:
    import torch
    from ckatorch import cka_base

    a, b = torch.from_numpy(x), torch.from_numpy(y)
    return cka_base(a, b), cka_base(a, b, unbiased=True)


def _repsim(x: Array, y: Array) -> object:
    import repsim

    return [repsim.cka([x, y], "linear", estimator) for estimator in ("gretton", "song")]


def _warn(text: str) -> None:
    print(text, file=sys.stderr)
