"""Gemma: Llama with wide heads and a tied head.

Its norms multiply by 1 + weight; that happens before the value projection, whose input is
captured as the model gives it.
"""

from tending.families import _llama_layout
from tending.families._llama_layout import Layout

_LAYOUT = Layout(d_head=256, value_heads=16)

PREFIX = _llama_layout.PREFIX
HEADS = _llama_layout.HEADS
TIED = True

architecture = _LAYOUT.architecture
shapes = _LAYOUT.shapes
value_module = _LAYOUT.value_module
mlp_out_module = _LAYOUT.mlp_out_module
attention = _LAYOUT.attention
mlp_out = _LAYOUT.mlp_out
