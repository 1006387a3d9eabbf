"""Attention's output matrix W_O, all heads side by side. Weights only.

What it writes is the activation of `attention_out`.
"""

from typing import Any

from tending.components._weights import ModelWeights, Spectra, of_matrix
from tending.families import Family

LABEL = "Attention W_O"
DESCRIPTION = "attention's output matrix W_O, d x (heads d_head)"
WEIGHTS = True
ACTIVATIONS = False
HEADS = False
ONE_MATRIX = True
GRADIENTS = True


def spectra(weights: ModelWeights, layer: int) -> Spectra:
    """min(d, heads d_head) values."""
    return of_matrix(matrix(weights, layer))


def matrix(weights: ModelWeights, layer: int) -> Any:
    """W_O, (d, heads d_head)."""
    output = weights.kind.attention(weights.tensors, weights.config, layer).output
    return output.swapaxes(0, 1).reshape(output.shape[1], -1)


def modules(kind: Family, layer: int) -> list[str]:
    """The projections that hold W_V and W_O, which families read together."""
    return [kind.value_module(layer), kind.attention_module(layer)]
