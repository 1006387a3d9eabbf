"""Mistral: Llama without biases; 8 value heads unless the config says otherwise."""

from tending.families import _llama_layout
from tending.families._llama_layout import Layout

_LAYOUT = Layout(value_heads=8, optional_bias=())

PREFIX = _llama_layout.PREFIX
HEADS = _llama_layout.HEADS
TIED = False

architecture = _LAYOUT.architecture
shapes = _LAYOUT.shapes
value_module = _LAYOUT.value_module
mlp_out_module = _LAYOUT.mlp_out_module
attention = _LAYOUT.attention
mlp_out = _LAYOUT.mlp_out
