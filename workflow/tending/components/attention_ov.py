"""The OV circuit W_O^h W_V^h of attention, per head and summed over heads.

Activation: sum over heads of W_O^h (W_V^h LN(x) + b_V^h) at the probed position. It is not
weighted by attention, and is computed from the input of the value projection.
Gradient: the first-order change of the product, G_O W_V + W_O G_V (see docs/definitions.md).
"""

from tending.components import Probe
from tending.components._projection import value_and_output_modules
from tending.components._weights import (
    Factors,
    ModelWeights,
    Spectra,
    circuit_spectrum,
    head_spectra,
    whole_maps,
)
from tending.families import Family

LABEL = "Attention OV"
DESCRIPTION = "the sum over heads of W_O W_V, d x d; a head's own product has rank d_head"
WEIGHTS = True
ACTIVATIONS = True
HEADS = True
ONE_MATRIX = False
GRADIENTS = True


def spectra(weights: ModelWeights, layer: int) -> Spectra:
    """Compute the d singular values of the sum, and the d_head of every head."""
    attention = weights.kind.attention(weights.tensors, weights.config, layer)
    return Spectra(whole=circuit_spectrum(attention), heads=head_spectra(attention))


modules = value_and_output_modules


def factors(weights: ModelWeights, layer: int) -> Factors:
    """Return W_O and W_V per head and per layer; output maps of heads sharing values are added."""
    # ASSUME: the circuit consists of the linear maps alone, even where values are clipped or normed
    # between them; the gradients of W_O and W_V come from the whole model, which includes that.
    attention = weights.kind.attention(weights.tensors, weights.config, layer)
    return Factors(whole=whole_maps(attention), heads=(attention.output, attention.value))


def probe(kind: Family, layer: int) -> Probe:
    """Hook LN(x), to which the maps are applied."""
    return Probe(kind.value_module(layer), "input")
