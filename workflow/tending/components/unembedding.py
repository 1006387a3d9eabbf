"""The output head's matrix, of which a model has one. Weights only.

A tied head's matrix is the embedding's, so its singular values are those of `embedding`. Rows
beyond the tokenizer's tokens are left out, and so are a bias and the norm before the head.
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
    """Compute the min(vocabulary, width) singular values."""
    matrix = unembedding(weights.kind, weights.tensors, weights.config)
    return of_matrix(matrix[: weights.tokens])
