"""The MLP's down-projection.

Activation: its output, bias included, before any norm or residual that follows.
"""

from tending.components._projection import projection

LABEL = "MLP output"
DESCRIPTION = "the MLP's down-projection, d x d_mlp"
WEIGHTS = True
ACTIVATIONS = True
HEADS = False
ONE_MATRIX = True
GRADIENTS = True

spectra, matrix, modules, probe = projection("mlp_out")
