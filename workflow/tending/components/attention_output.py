"""Attention's output matrix W_O, all heads side by side. Weights only.

Its output is the activation of `attention_out`.
"""

from typing import Any

from tending.components._projection import spectra_of, value_and_output_modules
from tending.components._weights import ModelWeights

LABEL = "Attention W_O"
DESCRIPTION = "attention's output matrix W_O, d x (heads d_head)"
WEIGHTS = True
ACTIVATIONS = False
HEADS = False
ONE_MATRIX = True
GRADIENTS = True


def matrix(weights: ModelWeights, layer: int) -> Any:
    """Return W_O, (d, heads d_head)."""
    output = weights.kind.attention(weights.tensors, weights.config, layer).output
    return output.swapaxes(0, 1).reshape(output.shape[1], -1)


spectra = spectra_of(matrix)
modules = value_and_output_modules
