"""Singular values of a checkpoint's weights, straight from its tensors."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tending.families import Attention, Config, Family, PublishedFamily, Weights

LOST = 1e-8  # of the sum of singular values: what their squares may hide

Spectrum = npt.NDArray[np.float64]


def weight_spectra(family: Family, weights: Weights, config: Config) -> Mapping[str, Spectrum]:
    """Singular values of every layer's components, descending.

    Returns `attention_ov_heads` (layers, heads, d_head), the circuits W_O^h W_V^h;
    `attention_ov` (layers, d_model), their sum W_O W_V; and `mlp_out` (layers, min(m, n)), the
    down-projection. Zeros are included: W_O W_V has some where heads share values.
    """
    spectra: dict[str, list[Spectrum]] = {
        "attention_ov_heads": [],
        "attention_ov": [],
        "mlp_out": [],
    }
    for layer in range(family.architecture(config).layers):
        attention = family.attention(weights, config, layer)
        spectra["attention_ov_heads"].append(head_spectra(attention))
        spectra["attention_ov"].append(circuit_spectrum(attention))
        spectra["mlp_out"].append(singular_values(np.asarray(family.mlp_out(weights, layer))))
    return {name: np.stack(values) for name, values in spectra.items()}


def published_spectra(
    family: PublishedFamily, weights: Weights, config: Config, correct: Mapping[str, Spectrum]
) -> Mapping[str, Spectrum]:
    """The same components as the code of arXiv 2410.11451 computed them.

    Values are cut as that code cut them, and only the d_head largest singular values of whole
    layers are kept: `attention_ov_heads` (layers, heads, d_head), `attention_ov` and `mlp_out`
    (layers, d_head). correct: what `weight_spectra` gave, whose `mlp_out` is cut.
    """
    sizes = family.architecture(config)
    heads, whole = [], []
    for layer in range(sizes.layers):
        attention = family.published_attention(weights, config, layer)
        heads.append(head_spectra(attention))
        whole.append(largest(circuit_spectrum(attention), sizes.d_head))
    return {
        "attention_ov_heads": np.stack(heads),
        "attention_ov": np.stack(whole),
        "mlp_out": largest(correct["mlp_out"], sizes.d_head),
    }


def largest(spectrum: Spectrum, count: int) -> Spectrum:
    """The `count` largest of descending singular values (..., k): the published code's cut."""
    return spectrum[..., :count]


def head_spectra(attention: Attention) -> Spectrum:
    """Singular values of W_O^h W_V^h, (heads, d_head), without forming the d x d product.

    With W_O^h = Q_O R_O and (W_V^h)' = Q_V R_V, the product has the singular values of R_O R_V',
    a d_head x d_head matrix.
    """
    output = np.asarray(attention.output, dtype=np.float64)
    value = np.asarray(attention.value, dtype=np.float64)
    r_output: npt.NDArray[np.float64] = np.asarray(np.linalg.qr(output, mode="r"))
    r_value: npt.NDArray[np.float64] = np.asarray(np.linalg.qr(value.swapaxes(1, 2), mode="r"))
    return np.asarray(np.linalg.svd(r_output @ r_value.swapaxes(1, 2), compute_uv=False))


def circuit_spectrum(attention: Attention) -> Spectrum:
    """Singular values of the whole layer's W_O W_V, the sum over heads, (d_model,).

    Where heads share values, the product's rank is below d_model: the values that can differ from
    0 are those of the product of two triangular factors, as for one head.
    """
    w_output, w_value = _whole_maps(attention)
    d_model, rank = w_output.shape
    if rank >= d_model:
        return singular_values(w_output @ w_value)
    r_output: npt.NDArray[np.float64] = np.asarray(np.linalg.qr(w_output, mode="r"))
    r_value: npt.NDArray[np.float64] = np.asarray(np.linalg.qr(w_value.T, mode="r"))
    return np.pad(singular_values(r_output @ r_value.T), (0, d_model - rank))


def _whole_maps(attention: Attention) -> tuple[Spectrum, Spectrum]:
    """W_O (d_model, rank) and W_V (rank, d_model) with rank = value heads x d_head.

    Outputs of heads that share their values are added, which leaves the product as it is.
    """
    output = np.asarray(attention.output, dtype=np.float64)
    value = np.asarray(attention.value, dtype=np.float64)
    heads, d_model, d_head = output.shape
    distinct = attention.value_heads or heads
    summed = output.reshape(distinct, heads // distinct, d_model, d_head).sum(axis=1)
    rows = value[:: heads // distinct].reshape(distinct * d_head, -1)
    return summed.swapaxes(0, 1).reshape(d_model, -1), rows


def singular_values(matrix: npt.NDArray[np.floating]) -> Spectrum:
    """Singular values of an (m, n) matrix, descending, (min(m, n),).

    From the eigenvalues of the smaller Gram matrix, several times quicker than an SVD. Squaring
    loses values below about 1e-8 of the largest; where there are so many that it would be seen in
    a sum over the spectrum, as in a matrix of low rank, the SVD itself is taken.
    """
    a = np.asarray(matrix, dtype=np.float64)
    gram = a @ a.T if a.shape[0] <= a.shape[1] else a.T @ a
    squares = np.clip(np.linalg.eigvalsh(gram)[::-1], 0.0, None)  # rounding may go below 0
    values = np.asarray(np.sqrt(squares))
    noise = values[0] * np.sqrt(values.size * np.finfo(np.float64).eps)
    if np.count_nonzero(values < noise) * noise > LOST * values.sum():
        return np.asarray(np.linalg.svd(a, compute_uv=False))
    return values
