"""Singular values of a checkpoint: every head's OV product, the whole OV, the MLP's projection."""

import timeit
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import scipy.linalg
from threadpoolctl import threadpool_limits

from bench.measure import Row, installed
from tending.components._weights import ModelWeights, whole_maps
from tending.families import family
from tending.metrics.algebra.eigenvalues import eigenvalues
from tending.metrics.algebra.singular_values import triangles
from tending.stages.spectra.weight_spectra import component_spectra

Array = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
Svd = Callable[[Array], object]

SIZES = {  # d_model, heads, measured layers, all layers
    "70m": (512, 8, 6, 6),
    "160m": (768, 12, 4, 12),
    "410m": (1024, 16, 2, 24),
    "2.8b": (2560, 32, 1, 32),
}
TARGETS = {"70m": 4.0, "160m": 5.5, "410m": 8.0, "2.8b": 15.0}
WHOLE = ("70m", "160m", "410m")  # for which the dense alternative is timed completely
NUMPY = "dense SVD of every d x d product, NumPy, float64"
COMPONENTS = ("attention_ov", "mlp_out")
WORK = "spectra: all heads' OV, whole OV, MLP"


def rows(threads: int) -> Iterator[Row]:
    """Yield rows against a dense SVD of each product, by NumPy and by torch in float32."""
    for size in WHOLE:
        yield _row(size, NUMPY, _numpy, threads)
    yield _of_a_large_layer(threads)
    if installed("torch"):
        for size in WHOLE:
            yield _row(size, "dense SVD of every d x d product, torch, float32", _torch, threads)


def _row(size: str, alternative: str, svd: Svd, threads: int) -> Row:
    d, heads, layers, every = SIZES[size]
    source = checkpoint(d, heads, layers)
    return Row(
        work=WORK,
        shape=f"{size}, {layers} of {every} layers",
        ours=lambda: component_spectra(source, COMPONENTS),
        other=lambda: dense(source, layers, svd),
        alternative=alternative,
        flops=layers * operations(d, heads),
        bytes=4.0 * layers * 6 * d * d,
        target=TARGETS[size],
        note="" if layers == every else "all layers are alike: the ratio is that of the model",
        solve=solve(source, layers, threads),
        solve_flops=layers * problems(d, heads),
    )


def _of_a_large_layer(threads: int) -> Row:
    """Return the row for a layer of 2.8b, with one of its 34 matrices for the dense alternative.

    All of them would take minutes.
    """
    row = _row("2.8b", NUMPY, _numpy, threads)
    _, heads, _, _ = SIZES["2.8b"]
    source = checkpoint(SIZES["2.8b"][0], heads, 1)
    attention = source.kind.attention(source.tensors, source.config, 0)
    product = attention.output[0] @ attention.value[0]
    return replace(
        row,
        other=lambda: _numpy(product),
        times=heads + 2.0,
        note=f"the dense way was timed for one of {heads + 2} matrices",
    )


def solve(source: ModelWeights, layers: int, threads: int) -> Callable[[], list[object]]:
    """Return a function that solves only the eigenvalue problems of ours, on prepared matrices.

    These are singular values of every head's k x k matrix, and eigenvalues of the Gram matrices of
    the whole OV and of the MLP. By LAPACK or our own solver, with one thread or all, whichever is
    fastest.
    """
    heads, grams = [], []
    for layer in range(layers):
        attention = source.kind.attention(source.tensors, source.config, layer)
        left, right = triangles(attention.output), triangles(attention.value.swapaxes(1, 2))
        heads.append(left @ right.swapaxes(1, 2))
        w_output, w_value = whole_maps(attention)
        for matrix in (w_output @ w_value, np.float64(source.kind.mlp_out(source.tensors, layer))):
            grams.append(matrix @ matrix.T)

    def run(solver: Callable[[Matrix], object], limit: int) -> list[object]:
        with threadpool_limits(limit, "blas"):
            small = [np.linalg.svd(matrices, compute_uv=False) for matrices in heads]
            return [*small, *map(solver, grams)]

    runs = [partial(run, solver, limit) for solver in SOLVERS for limit in sorted({1, threads})]
    return min(runs, key=lambda one: timeit.timeit(one, number=1))


def _scipy(matrix: Matrix, driver: str) -> object:
    return scipy.linalg.eigh(matrix, eigvals_only=True, driver=driver, check_finite=False)


# NumPy's and SciPy's, which use different BLAS libraries, and ours, which differs if large.
SOLVERS: tuple[Callable[[Matrix], object], ...] = (
    np.linalg.eigvalsh,
    lambda matrix: eigenvalues(matrix.copy()),
    *(partial(_scipy, driver=driver) for driver in ("ev", "evr")),
)


def checkpoint(d: int, heads: int, layers: int) -> ModelWeights:
    """Draw random tensors of a GPT-NeoX model, as in a float32 file."""
    rng, tensors = np.random.default_rng(0), {}
    shapes = {
        "attention.query_key_value.weight": (3 * d, d),
        "attention.dense.weight": (d, d),
        "mlp.dense_4h_to_h.weight": (d, 4 * d),
    }
    for layer in range(layers):
        for name, shape in shapes.items():
            weight = rng.standard_normal(shape, dtype=np.float32)
            tensors[f"layers.{layer}.{name}"] = np.float32(0.02) * weight
    config = {
        "hidden_size": d,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "vocab_size": 1,
        "max_position_embeddings": 1,
    }
    return ModelWeights(family("gpt_neox"), tensors, config)


def dense(source: ModelWeights, layers: int, svd: Svd) -> list[object]:
    """Do the obvious: form every product and compute its SVD."""
    found = []
    for layer in range(layers):
        attention = source.kind.attention(source.tensors, source.config, layer)
        pairs = zip(attention.output, attention.value, strict=True)
        products = [output @ value for output, value in pairs]
        found += [svd(product) for product in products]
        found += [svd(sum(products)), svd(source.kind.mlp_out(source.tensors, layer))]
    return found


def _numpy(matrix: Array) -> object:
    return np.linalg.svd(matrix.astype(np.float64), compute_uv=False)


def _torch(matrix: Array) -> object:
    import torch

    return torch.linalg.svdvals(torch.from_numpy(np.ascontiguousarray(matrix)))


def operations(d: int, heads: int) -> float:
    """Count operations of one layer, with eigenvalue problems; symmetric products count half."""
    k = d / heads
    factors = 2 * heads * (d * k**2 + k**3 / 3)  # Gram matrices and their Cholesky factors
    small, whole, mlp = heads * 2 * k**3, 2 * d**3 + d**3, 4 * d**3
    return factors + small + whole + mlp + problems(d, heads)


def problems(d: int, heads: int) -> float:
    """Count operations of a layer's eigenvalue problems, 4/3 n^3, and heads' SVDs, 8/3 k^3."""
    return heads * 8 / 3 * (d / heads) ** 3 + 2 * 4 / 3 * d**3
