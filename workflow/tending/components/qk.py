"""The QK circuit (W_Q^h)' W_K^h of every head: the bilinear form of its attention scores.

Weights only, and per head only: each head has a softmax of its own, so a sum over heads has no
meaning. Heads that share a key map (grouped-query attention) each have their own product with it.
"""

from tending.components._weights import ModelWeights, Spectra
from tending.metrics.algebra.singular_values import product_spectra

LABEL = "Attention QK"
DESCRIPTION = "a head's W_Q' W_K, d x d of rank d_head"
WEIGHTS = True
ACTIVATIONS = False
HEADS = True
ONE_MATRIX = False
WHOLE = False


def spectra(weights: ModelWeights, layer: int) -> Spectra:
    """Compute the d_head singular values of every head."""
    maps = weights.kind.query_key(weights.tensors, weights.config, layer)
    # ASSUME: the circuit consists of the linear maps alone. Biases, rotary or other positions,
    # norms of queries and keys, clipping and the scale are left out.
    return Spectra(heads=product_spectra(maps.query.swapaxes(1, 2), maps.key))
