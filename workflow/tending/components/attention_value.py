"""Attention's value matrix W_V, heads stacked row-wise. Weights only.

A map that several heads share (grouped-query attention) appears once. Where query, key and value
are stored as one matrix, W_V consists of the rows of the values.
"""

from typing import Any

from tending.components._projection import spectra_of, value_and_output_modules
from tending.components._weights import ModelWeights

LABEL = "Attention W_V"
DESCRIPTION = "attention's value matrix W_V, (value heads d_head) x d"
WEIGHTS = True
ACTIVATIONS = False
HEADS = False
ONE_MATRIX = True
GRADIENTS = True


def matrix(weights: ModelWeights, layer: int) -> Any:
    """Return W_V, (value heads d_head, d)."""
    attention = weights.kind.attention(weights.tensors, weights.config, layer)
    heads, _, d_model = attention.value.shape
    distinct = attention.value_heads or heads
    return attention.value[:: heads // distinct].reshape(-1, d_model)


spectra = spectra_of(matrix)
modules = value_and_output_modules
