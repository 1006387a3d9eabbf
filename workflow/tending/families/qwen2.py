"""Qwen2 and Qwen2.5: Llama with biases on queries, keys and values, and on nothing else."""

from tending.families import _llama_layout
from tending.families._llama_layout import QKV, Layout

_LAYOUT = Layout(value_heads=32, biased=QKV, optional_bias=())

PREFIX = _llama_layout.PREFIX
HEADS = _llama_layout.HEADS
TIED = False

architecture = _LAYOUT.architecture
shapes = _LAYOUT.shapes
value_module = _LAYOUT.value_module
mlp_out_module = _LAYOUT.mlp_out_module
attention = _LAYOUT.attention
mlp_out = _LAYOUT.mlp_out
