"""Gemma 3, the text models: Gemma 2 with a norm on each query and key head, without the cap."""

from tending.families import _llama_layout
from tending.families._llama_layout import SANDWICH_NORMS, Layout

_LAYOUT = Layout(d_head=256, value_heads=4, norms=SANDWICH_NORMS, qk_norm="head")

PREFIX = _llama_layout.PREFIX
HEADS = _llama_layout.HEADS
TIED = True

architecture = _LAYOUT.architecture
shapes = _LAYOUT.shapes
value_module = _LAYOUT.value_module
mlp_out_module = _LAYOUT.mlp_out_module
attention = _LAYOUT.attention
mlp_out = _LAYOUT.mlp_out
