"""The MLP's down-projection.

Activation: its output, bias included, before a norm or the residual that may follow.
"""

from tending.components import Probe
from tending.families import Family
from tending.spectra import ModelWeights, Spectra, of_matrix

LABEL = "MLP output"
DESCRIPTION = "the MLP's down-projection, d x d_mlp"
WEIGHTS = True
ACTIVATIONS = True
HEADS = False
ONE_MATRIX = True


def spectra(weights: ModelWeights, layer: int) -> Spectra:
    """min(d, d_mlp) values."""
    return of_matrix(weights.kind.mlp_out(weights.tensors, layer))


def probe(kind: Family, layer: int) -> Probe:
    """What the projection gives, its bias included."""
    return Probe(kind.mlp_out_module(layer), "output")
