"""The MLP's up-projection.

Activation: its output, bias included, before the nonlinearity or the product with the gate.
"""

from tending.components._projection import projection

LABEL = "MLP input"
DESCRIPTION = "the MLP's up-projection, d_mlp x d"
WEIGHTS = True
ACTIVATIONS = True
HEADS = False
ONE_MATRIX = True
GRADIENTS = True

spectra, matrix, modules, probe = projection("mlp_in")
