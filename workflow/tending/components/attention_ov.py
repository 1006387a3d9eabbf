"""The OV circuit W_O^h W_V^h of attention, per head and summed over heads.

Activation: sum over heads of W_O^h (W_V^h LN(x) + b_V^h) at the probed position. It is not
weighted by attention, and is made from the input of the value projection.
"""

from tending.components import Probe
from tending.families import Family
from tending.spectra import ModelWeights, Spectra, circuit_spectrum, head_spectra

LABEL = "Attention OV"
DESCRIPTION = "the sum over heads of W_O W_V, d x d; a head's own product has rank d_head"
WEIGHTS = True
ACTIVATIONS = True
HEADS = True
ONE_MATRIX = False


def spectra(weights: ModelWeights, layer: int) -> Spectra:
    """d values of the sum; d_head of every head."""
    attention = weights.kind.attention(weights.tensors, weights.config, layer)
    return Spectra(whole=circuit_spectrum(attention), heads=head_spectra(attention))


def probe(kind: Family, layer: int) -> Probe:
    """LN(x), to which the maps are applied."""
    return Probe(kind.value_module(layer), "input")
