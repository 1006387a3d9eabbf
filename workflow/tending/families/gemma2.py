"""Gemma 2: Gemma with norms before and after attention and MLP, and a cap on the logits.

`mlp_out` is the down-projection's output, before the norm that follows it.
"""

from tending.families import _llama_layout
from tending.families._llama_layout import SANDWICH_NORMS, Layout

_LAYOUT = Layout(d_head=256, value_heads=4, logit_cap=30.0, norms=SANDWICH_NORMS)

PREFIX = _llama_layout.PREFIX
HEADS = _llama_layout.HEADS
TIED = True

architecture = _LAYOUT.architecture
shapes = _LAYOUT.shapes
value_module = _LAYOUT.value_module
mlp_out_module = _LAYOUT.mlp_out_module
attention = _LAYOUT.attention
mlp_out = _LAYOUT.mlp_out
