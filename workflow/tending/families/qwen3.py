"""Qwen3: Llama with heads of a width of their own and a norm on each query and key head."""

from tending.families import _llama_layout
from tending.families._llama_layout import Layout

_LAYOUT = Layout(d_head=128, value_heads=32, qk_norm="head")

PREFIX = _llama_layout.PREFIX
HEADS = _llama_layout.HEADS
TIED = False

architecture = _LAYOUT.architecture
shapes = _LAYOUT.shapes
value_module = _LAYOUT.value_module
mlp_out_module = _LAYOUT.mlp_out_module
attention = _LAYOUT.attention
mlp_out = _LAYOUT.mlp_out
