"""Singular values of a checkpoint's weights, straight from its tensors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tending import components as parts
from tending.eigenvalues import eigenvalues
from tending.families import Attention, Config, Family, PublishedFamily, Weights

LOST = 1e-8  # of the sum of singular values: what their squares may hide
PLAIN = 1e6  # condition of A'A below which its triangular factor is as good as that of A
HELD = 2**19  # numbers of a stack that are held in float64 at a time, 4 MiB: they stay in the cache
CHUNK = 2**22  # numbers of a tall matrix that are held in float64 at a time, 32 MiB

PUBLISHED = ("attention_ov", "mlp_out")  # components that the published code computed

Spectrum = npt.NDArray[np.float64]
Shape = tuple[int, int]


@dataclass(frozen=True)
class ModelWeights:
    """A checkpoint's tensors and how they are read.

    tokens: how many tokens there are, of which embeddings have rows; None for all rows.
    """

    kind: Family
    tensors: Weights
    config: Config
    tokens: int | None = None


@dataclass(frozen=True)
class Spectra:
    """Singular values of one layer's component, descending: whole (values,), heads (heads,
    values); None for what it does not have. shape: of the matrix, if it is one as stored.
    """

    whole: Spectrum | None = None
    heads: Spectrum | None = None
    shape: Shape | None = None


@dataclass(frozen=True)
class Factors:
    """The products that a component of one layer is: left times right.

    heads: left (heads, m, k) and right (heads, k, n); whole: (m, k) and (k, n); None for what it
    does not have.
    """

    whole: tuple[Any, Any] | None = None
    heads: tuple[Any, Any] | None = None


def of_matrix(matrix: Any) -> Spectra:
    """Singular values of one stored matrix, with its shape."""
    m, n = matrix.shape
    return Spectra(whole=tall_spectrum(matrix), shape=(int(m), int(n)))


def weight_spectra(
    family: Family,
    weights: Weights,
    config: Config,
    components: Iterable[str] = parts.DEFAULT,
    tokens: int | None = None,
) -> dict[str, Spectrum]:
    """Singular values of the named components, descending, by dataset name.

    (layers, values) for whole layers; `NAME_heads` (layers, heads, values); (values,) for what
    the model has one of. tokens: how many tokens there are, of which embeddings have rows. Zeros
    are included: W_O W_V has some where heads share values.
    """
    return component_spectra(ModelWeights(family, weights, config, tokens), components)[0]


def component_spectra(
    source: ModelWeights, components: Iterable[str]
) -> tuple[dict[str, Spectrum], dict[str, Shape]]:
    """The same, and the shape of the stored matrices by dataset name, where it is of one each."""
    layers = source.kind.architecture(source.config).layers
    found: dict[str, Spectrum] = {}
    shapes: dict[str, Shape] = {}
    for name in components:
        part, compute = parts.component(name), parts.weighing(name).spectra
        made = [compute(source, i) for i in range(layers if part.layers else 1)]
        heads = [layer.heads for layer in made if layer.heads is not None]
        wholes = [layer.whole for layer in made if layer.whole is not None]
        for dataset, values in ((f"{name}{parts.HEADS}", heads), (name, wholes)):
            if values:
                found[dataset] = np.stack(values) if part.layers else values[0]
        if (shape := made[0].shape) is not None:
            shapes[name] = shape
    return found, shapes


def published_spectra(
    family: PublishedFamily, weights: Weights, config: Config, correct: Mapping[str, Spectrum]
) -> dict[str, Spectrum]:
    """The components of `correct` as the code of arXiv 2410.11451 computed them.

    Values are cut as that code cut them, and only the d_head largest singular values of whole
    layers are kept: `attention_ov_heads` (layers, heads, d_head), `attention_ov` and `mlp_out`
    (layers, d_head). correct: what `weight_spectra` gave, whose `mlp_out` is cut. Other components
    are not the paper's.
    """
    sizes = family.architecture(config)
    found: dict[str, Spectrum] = {}
    if "attention_ov" in correct:
        cut = [family.published_attention(weights, config, i) for i in range(sizes.layers)]
        whole = [largest(circuit_spectrum(attention), sizes.d_head) for attention in cut]
        found["attention_ov_heads"] = np.stack([head_spectra(attention) for attention in cut])
        found["attention_ov"] = np.stack(whole)
    if "mlp_out" in correct:
        found["mlp_out"] = largest(correct["mlp_out"], sizes.d_head)
    return found


def largest(spectrum: Spectrum, count: int) -> Spectrum:
    """The `count` largest of descending singular values (..., k): the published code's cut."""
    return spectrum[..., :count]


def head_spectra(attention: Attention) -> Spectrum:
    """Singular values of W_O^h W_V^h, (heads, d_head)."""
    return product_spectra(attention.output, attention.value)


def product_spectra(left: Any, right: Any) -> Spectrum:
    """Singular values of every head's product, (heads, min(k, m, n)), without forming it.

    left: (heads, m, k), right: (heads, k, n). With L = Q_L R_L and R' = Q_R R_R, the product L R
    has the singular values of R_L R_R', a k x k matrix if k is at most m and n.
    """
    r_left, r_right = triangles(left), triangles(np.swapaxes(right, 1, 2))
    return np.asarray(np.linalg.svd(r_left @ r_right.swapaxes(1, 2), compute_uv=False))


def triangles(stack: Any) -> Spectrum:
    """R with R' R = A' A of every matrix A in a stack: (heads, m, k) -> (heads, min(m, k), k).

    Cholesky's factor of A' A, several times quicker than QR, moves singular values of A, and of
    products with it, by about k eps cond(A' A) of themselves: below PLAIN by 1e-8 at most. Where
    the condition is above that, the factor is that of A = Q R. In float64, of which few heads are
    made at a time.
    """
    heads, m, k = stack.shape
    some = max(1, HELD // (m * k))
    parts = (np.asarray(stack[i : i + some], dtype=np.float64) for i in range(0, heads, some))
    return np.concatenate([_triangles(part) for part in parts])


def _triangles(stack: Spectrum) -> Spectrum:
    heads, m, k = stack.shape
    if m < k:
        return np.asarray(np.linalg.qr(stack, mode="r"))
    grams = stack.swapaxes(1, 2) @ stack
    plain = _conditions(grams) < PLAIN
    made: Spectrum = np.empty((heads, k, k))
    made[plain] = np.linalg.cholesky(grams[plain]).swapaxes(1, 2)
    if not plain.all():
        made[~plain] = np.linalg.qr(stack[~plain], mode="r")
    return made


def _conditions(grams: Spectrum) -> Spectrum:
    """At least the condition numbers of a stack of matrices, (heads,); inf if one is singular."""
    try:
        inverses = np.linalg.inv(grams)
    except np.linalg.LinAlgError:
        return np.full(len(grams), np.inf)
    return np.asarray(np.linalg.norm(grams, axis=(1, 2)) * np.linalg.norm(inverses, axis=(1, 2)))


def circuit_spectrum(attention: Attention) -> Spectrum:
    """Singular values of the whole layer's W_O W_V, the sum over heads, (d_model,).

    Where heads share values, the product's rank is below d_model: the values that can differ from
    0 are those of the product of two triangular factors, as for one head.
    """
    w_output, w_value = whole_maps(attention)
    d_model, rank = w_output.shape
    if rank >= d_model:
        return singular_values(w_output @ w_value)
    r_output: npt.NDArray[np.float64] = np.asarray(np.linalg.qr(w_output, mode="r"))
    r_value: npt.NDArray[np.float64] = np.asarray(np.linalg.qr(w_value.T, mode="r"))
    return np.pad(singular_values(r_output @ r_value.T), (0, d_model - rank))


def whole_maps(attention: Attention) -> tuple[Spectrum, Spectrum]:
    """W_O (d_model, rank) and W_V (rank, d_model) with rank = value heads x d_head.

    Outputs of heads that share their values are added, which leaves the product as it is.
    """
    output = np.asarray(attention.output, dtype=np.float64)
    value = np.asarray(attention.value, dtype=np.float64)
    heads, d_model, d_head = output.shape
    distinct = attention.value_heads or heads
    summed = output
    if distinct < heads:  # otherwise the sum would only copy
        summed = output.reshape(distinct, heads // distinct, d_model, d_head).sum(axis=1)
    rows = value[:: heads // distinct].reshape(distinct * d_head, -1)
    return summed.swapaxes(0, 1).reshape(d_model, -1), rows


def singular_values(matrix: Any) -> Spectrum:
    """Singular values of an (m, n) matrix, descending, (min(m, n),).

    From the eigenvalues of the smaller Gram matrix, several times quicker than an SVD. Squaring
    loses values below about 1e-8 of the largest; where there are so many that it would be seen in
    a sum over the spectrum, as in a matrix of low rank, the SVD itself is taken.
    """
    a: Spectrum = np.asarray(matrix, dtype=np.float64)
    values = _from_gram(a @ a.T if a.shape[0] <= a.shape[1] else a.T @ a)
    return values if _kept_by_squaring(values) else np.asarray(np.linalg.svd(a, compute_uv=False))


def tall_spectrum(matrix: Any) -> Spectrum:
    """The same for a matrix of many rows, such as an embedding, of which few are read at a time.

    Costs m n^2 operations and n x n numbers in float64 besides the matrix as it is. The slow way,
    where squaring loses too much, is an SVD of R in A = Q R, made of the rows bit by bit.
    """
    if matrix.shape[0] <= matrix.shape[1]:
        return singular_values(matrix)
    width = matrix.shape[1]
    rows = max(width, CHUNK // width)
    chunks = [slice(i, i + rows) for i in range(0, matrix.shape[0], rows)]
    gram: Spectrum = np.zeros((width, width))
    for chunk in chunks:
        part: Spectrum = np.asarray(matrix[chunk], dtype=np.float64)
        gram += part.T @ part
    values = _from_gram(gram)
    if _kept_by_squaring(values):
        return values
    r: Spectrum = np.zeros((0, width))
    for chunk in chunks:
        r = np.asarray(np.linalg.qr(np.vstack([r, matrix[chunk]]), mode="r"))
    return np.asarray(np.linalg.svd(r, compute_uv=False))


def _from_gram(gram: Spectrum) -> Spectrum:
    squares = np.clip(eigenvalues(gram)[::-1], 0.0, None)  # rounding may go below 0
    return np.asarray(np.sqrt(squares))


def _kept_by_squaring(values: Spectrum) -> bool:
    """Whether the values that squares may hide add up to too little to be seen."""
    noise = values[0] * np.sqrt(values.size * np.finfo(np.float64).eps)
    return not np.count_nonzero(values < noise) * noise > LOST * values.sum()
