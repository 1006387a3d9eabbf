"""The gate's projection of a gated MLP.

Activation: its output, bias included, before the nonlinearity.
"""

from typing import Any, cast

from tending.components import Probe
from tending.components._weights import ModelWeights, Spectra, of_matrix
from tending.families import Family, GatedFamily

LABEL = "MLP gate"
DESCRIPTION = "the gate of a gated MLP, d_mlp x d"
WEIGHTS = True
ACTIVATIONS = True
HEADS = False
ONE_MATRIX = True
GRADIENTS = True
REQUIRES = ("mlp_gate", "mlp_gate_module")


def spectra(weights: ModelWeights, layer: int) -> Spectra:
    """min(d, d_mlp) values."""
    return of_matrix(matrix(weights, layer))


def matrix(weights: ModelWeights, layer: int) -> Any:
    """The matrix as it is stored, (d_mlp, d)."""
    return cast(GatedFamily, weights.kind).mlp_gate(weights.tensors, layer)


def modules(kind: Family, layer: int) -> list[str]:
    """The projection itself."""
    return [cast(GatedFamily, kind).mlp_gate_module(layer)]


def probe(kind: Family, layer: int) -> Probe:
    """What the projection gives, its bias included."""
    return Probe(cast(GatedFamily, kind).mlp_gate_module(layer), "output")
