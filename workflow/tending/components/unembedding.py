"""The output head's matrix: one of the model. Weights only.

A tied head's matrix is the embedding's, so its values are those of `embedding`. Rows beyond the
tokenizer's tokens are left out, and so are a bias and the norm before it.
"""

from tending.components._weights import ModelWeights, Spectra, of_matrix
from tending.families import unembedding

LABEL = "Unembedding"
DESCRIPTION = "the output head, vocabulary x d"
WEIGHTS = True
ACTIVATIONS = False
HEADS = False
ONE_MATRIX = True
LAYERS = False


def spectra(weights: ModelWeights, layer: int) -> Spectra:
    """min(vocabulary, width) values."""
    matrix = unembedding(weights.kind, weights.tensors, weights.config)
    return of_matrix(matrix[: weights.tokens])
