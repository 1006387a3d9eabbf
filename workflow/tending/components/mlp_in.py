"""The MLP's up-projection.

Activation: its output, bias included, before the nonlinearity or the product with the gate.
"""

from typing import Any

from tending.components import Probe
from tending.components._weights import ModelWeights, Spectra, of_matrix
from tending.families import Family

LABEL = "MLP input"
DESCRIPTION = "the MLP's up-projection, d_mlp x d"
WEIGHTS = True
ACTIVATIONS = True
HEADS = False
ONE_MATRIX = True
GRADIENTS = True


def spectra(weights: ModelWeights, layer: int) -> Spectra:
    """min(d, d_mlp) values."""
    return of_matrix(matrix(weights, layer))


def matrix(weights: ModelWeights, layer: int) -> Any:
    """The matrix as a linear layer has it, (d_mlp, d)."""
    return weights.kind.mlp_in(weights.tensors, layer)


def modules(kind: Family, layer: int) -> list[str]:
    """The projection itself."""
    return [kind.mlp_in_module(layer)]


def probe(kind: Family, layer: int) -> Probe:
    """What the projection gives, its bias included."""
    return Probe(kind.mlp_in_module(layer), "output")
