"""The weights of a component: its matrix, or the factors of its product, and their spectra."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tending.core.aliases import Config
from tending.families import Attention, Family, Weights
from tending.metrics.algebra.singular_values import (
    Spectrum,
    product_spectra,
    singular_values,
    tall_spectrum,
)

Shape = tuple[int, int]


@dataclass(frozen=True)
class ModelWeights:
    """A checkpoint's tensors, with the family and config needed to interpret them.

    tokens: number of tokens, the leading rows of embeddings that are used; None for all rows.
    """

    kind: Family
    tensors: Weights
    config: Config
    tokens: int | None = None


@dataclass(frozen=True)
class Spectra:
    """Singular values of one layer's component, descending.

    whole: (values,); heads: (heads, values); None for the one that it does not have. shape: of
    the matrix, if the component is a single stored matrix.
    """

    whole: Spectrum | None = None
    heads: Spectrum | None = None
    shape: Shape | None = None


@dataclass(frozen=True)
class Factors:
    """Left and right factors of one layer's component, if that is a product of two matrices.

    heads: left (heads, m, k) and right (heads, k, n); whole: (m, k) and (k, n); None for the one
    that it does not have.
    """

    whole: tuple[Any, Any] | None = None
    heads: tuple[Any, Any] | None = None


def of_matrix(matrix: Any) -> Spectra:
    """Compute the singular values of one stored matrix, with its shape."""
    m, n = matrix.shape
    return Spectra(whole=tall_spectrum(matrix), shape=(int(m), int(n)))


def head_spectra(attention: Attention) -> Spectrum:
    """Compute the singular values of W_O^h W_V^h, (heads, d_head)."""
    return product_spectra(attention.output, attention.value)


def circuit_spectrum(attention: Attention) -> Spectrum:
    """Compute the singular values of the layer's W_O W_V, summed over heads, (d_model,).

    Where heads share values, the product's rank is below d_model. The singular values that can
    differ from 0 are then those of the product of two triangular factors, as for one head.
    """
    w_output, w_value = whole_maps(attention)
    d_model, rank = w_output.shape
    if rank >= d_model:
        return singular_values(w_output @ w_value)
    r_output: npt.NDArray[np.float64] = np.asarray(np.linalg.qr(w_output, mode="r"))
    r_value: npt.NDArray[np.float64] = np.asarray(np.linalg.qr(w_value.T, mode="r"))
    return np.pad(singular_values(r_output @ r_value.T), (0, d_model - rank))


def whole_maps(attention: Attention) -> tuple[Spectrum, Spectrum]:
    """Return W_O (d_model, rank) and W_V (rank, d_model) with rank = value heads x d_head.

    Output maps of heads that share their values are added, which leaves the product unchanged.
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
