"""The MLP's down-projection.

Activation: its output, bias included, before a norm or the residual that may follow.
"""

from typing import Any

from tending.components import Probe
from tending.components._weights import ModelWeights, Spectra, of_matrix
from tending.families import Family

LABEL = "MLP output"
DESCRIPTION = "the MLP's down-projection, d x d_mlp"
WEIGHTS = True
ACTIVATIONS = True
HEADS = False
ONE_MATRIX = True
GRADIENTS = True


def spectra(weights: ModelWeights, layer: int) -> Spectra:
    """min(d, d_mlp) values."""
    return of_matrix(matrix(weights, layer))


def matrix(weights: ModelWeights, layer: int) -> Any:
    """The matrix as a linear layer has it, (d, d_mlp)."""
    return weights.kind.mlp_out(weights.tensors, layer)


def modules(kind: Family, layer: int) -> list[str]:
    """The projection itself."""
    return [kind.mlp_out_module(layer)]


def probe(kind: Family, layer: int) -> Probe:
    """What the projection gives, its bias included."""
    return Probe(kind.mlp_out_module(layer), "output")
