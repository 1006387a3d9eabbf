"""Attention's output, weighted by attention. Activations only; W_O is `attention_output`.

Activation: the output of the output projection, bias included, before any norm or residual that
follows.
"""

from tending.components import Probe
from tending.families import Family

LABEL = "Attention output"
DESCRIPTION = "attention's output projection, weighted by attention, d"
WEIGHTS = False
ACTIVATIONS = True
HEADS = False
ONE_MATRIX = False


def probe(kind: Family, layer: int) -> Probe:
    """Hook the output of the output projection."""
    return Probe(kind.attention_module(layer), "output")
