"""The MLP's up-projection.

Activation: its output, bias included, before the nonlinearity or the product with the gate.
"""

from tending.components import Probe
from tending.families import Family
from tending.spectra import ModelWeights, Spectra, of_matrix

LABEL = "MLP input"
DESCRIPTION = "the MLP's up-projection, d_mlp x d"
WEIGHTS = True
ACTIVATIONS = True
HEADS = False
ONE_MATRIX = True


def spectra(weights: ModelWeights, layer: int) -> Spectra:
    """min(d, d_mlp) values."""
    return of_matrix(weights.kind.mlp_in(weights.tensors, layer))


def probe(kind: Family, layer: int) -> Probe:
    """What the projection gives, its bias included."""
    return Probe(kind.mlp_in_module(layer), "output")
