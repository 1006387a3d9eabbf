"""The input embedding, of which a model has one.

Weights: its matrix, without rows beyond the tokenizer's tokens (see docs/definitions.md).
Activation: the residual stream before the first block, at the probed position: the token's row
with whatever the model adds or applies before the first block (learned positions, a norm, a
scale, a projection to d).
"""

from tending.components import Probe
from tending.components._weights import ModelWeights, Spectra, of_matrix
from tending.families import Family

LABEL = "Embedding"
DESCRIPTION = "the input embedding, vocabulary x d"
WEIGHTS = True
ACTIVATIONS = True
HEADS = False
ONE_MATRIX = True
LAYERS = False


def spectra(weights: ModelWeights, layer: int) -> Spectra:
    """Compute min(vocabulary, width) singular values; positions are not part of the matrix."""
    return of_matrix(weights.tensors[weights.kind.EMBEDDING][: weights.tokens])


def probe(kind: Family, layer: int) -> Probe:
    """Hook the input of the first block."""
    return Probe(kind.block_module(0), "input")
