"""OLMo 2: Llama with norms on the outputs of attention and MLP in place of their inputs.

The value projection's input is the residual stream itself. Queries and keys have a norm over all
their heads.
"""

from tending.families import _llama_layout
from tending.families._llama_layout import Layout

_LAYOUT = Layout(norms=("post_attention_layernorm", "post_feedforward_layernorm"), qk_norm="all")

PREFIX = _llama_layout.PREFIX
HEADS = _llama_layout.HEADS
TIED = False

architecture = _LAYOUT.architecture
shapes = _LAYOUT.shapes
value_module = _LAYOUT.value_module
mlp_out_module = _LAYOUT.mlp_out_module
attention = _LAYOUT.attention
mlp_out = _LAYOUT.mlp_out
