"""Singular values of a checkpoint: every head's OV product, the whole OV, the MLP's projection."""

import timeit
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import scipy.linalg

from bench.measure import Row, installed
from tending.eigenvalues import eigenvalues
from tending.families import family
from tending.spectra import ModelWeights, component_spectra, whole_maps

Array = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
Svd = Callable[[Array], object]

SIZES = {  # d_model, heads, layers that are measured, layers of the model
    "70m": (512, 8, 6, 6),
    "160m": (768, 12, 4, 12),
    "410m": (1024, 16, 2, 24),
    "2.8b": (2560, 32, 1, 32),
}
TARGETS = {"70m": 4.0, "160m": 5.5, "410m": 8.0, "2.8b": 15.0}
WHOLE = ("70m", "160m", "410m")  # of which the dense way is timed whole
NUMPY = "dense SVD of every d x d product, NumPy, float64"
COMPONENTS = ("attention_ov", "mlp_out")
WORK = "spectra: all heads' OV, whole OV, MLP"


def rows(threads: int) -> Iterator[Row]:
    """Against a dense SVD of each product, by NumPy and by torch in single precision."""
    for size in WHOLE:
        yield _row(size, NUMPY, _numpy)
    yield _of_a_large_layer()
    if installed("torch"):
        for size in WHOLE:
            yield _row(size, "dense SVD of every d x d product, torch, float32", _torch)


def _row(size: str, alternative: str, svd: Svd) -> Row:
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
        bare=bare(source, layers),
    )


def _of_a_large_layer() -> Row:
    """A layer of 2.8b, of whose 34 matrices the dense way takes one: it needs minutes for all."""
    row = _row("2.8b", NUMPY, _numpy)
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


def bare(source: ModelWeights, layers: int) -> Callable[[], list[object]]:
    """The products and eigenvalue problems of ours, of matrices that are ready in float64.

    Of heads: both Gram matrices and the singular values of k x k matrices; of the whole OV: the
    product, its Gram matrix, eigenvalues; of the MLP: Gram matrix, eigenvalues. Eigenvalues come
    from the LAPACK driver with which all of it is quickest.
    """
    ready = []
    for layer in range(layers):
        attention = source.kind.attention(source.tensors, source.config, layer)
        output, value = (np.float64(side) for side in (attention.output, attention.value))
        mlp = np.float64(source.kind.mlp_out(source.tensors, layer))
        ready.append((output, value.swapaxes(1, 2).copy(), *whole_maps(attention), mlp))
    grams = [mlp @ mlp.T for *_, mlp in ready]

    def run(solve: Callable[[Matrix], object]) -> list[object]:
        found: list[object] = []
        for (output, value, w_output, w_value, mlp), gram in zip(ready, grams, strict=True):
            found += [side.swapaxes(1, 2) @ side for side in (output, value)]
            found.append(np.linalg.svd(found[-1], compute_uv=False))
            whole = w_output @ w_value
            found += [whole @ whole.T, solve(gram), mlp @ mlp.T, solve(gram)]
        return found

    runs = [partial(run, solve) for solve in SOLVERS]
    return min(runs, key=lambda one: timeit.timeit(one, number=1))


def _scipy(matrix: Matrix, driver: str) -> object:
    return scipy.linalg.eigh(matrix, eigvals_only=True, driver=driver, check_finite=False)


# Of NumPy and SciPy, which have a BLAS each, and ours, which is another for large matrices.
SOLVERS: tuple[Callable[[Matrix], object], ...] = (
    np.linalg.eigvalsh,
    lambda matrix: eigenvalues(matrix.copy()),
    *(partial(_scipy, driver=driver) for driver in ("ev", "evr")),
)


def checkpoint(d: int, heads: int, layers: int) -> ModelWeights:
    """Random tensors of a GPT-NeoX model, as a file of float32 holds them."""
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
    """What a user writes: form every product, take its SVD."""
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
    """Of one layer: symmetric products count half, an eigenvalue problem 4/3 n^3."""
    k = d / heads
    factors = 2 * heads * (d * k**2 + k**3 / 3)  # Gram matrices and their Cholesky factors
    small = heads * (2 * k**3 + 8 / 3 * k**3)
    whole = 2 * d**3 + d**3 + 4 / 3 * d**3
    mlp = 4 * d**3 + 4 / 3 * d**3
    return factors + small + whole + mlp
