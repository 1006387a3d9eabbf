"""The residual stream after a block, before the final norm that follows the last. No weights."""

from tending.components import Probe
from tending.families import Family

LABEL = "Residual stream"
DESCRIPTION = "the residual stream after a block, d"
WEIGHTS = False
ACTIVATIONS = True
HEADS = False
ONE_MATRIX = False


def probe(kind: Family, layer: int) -> Probe:
    """Hook the block's output."""
    return Probe(kind.block_module(layer), "output")
