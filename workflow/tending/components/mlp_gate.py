"""The gate projection of a gated MLP.

Activation: its output, bias included, before the nonlinearity.
"""

from tending.components._projection import projection

LABEL = "MLP gate"
DESCRIPTION = "the gate of a gated MLP, d_mlp x d"
WEIGHTS = True
ACTIVATIONS = True
HEADS = False
ONE_MATRIX = True
GRADIENTS = True
REQUIRES = ("mlp_gate", "mlp_gate_module")

spectra, matrix, modules, probe = projection("mlp_gate")
