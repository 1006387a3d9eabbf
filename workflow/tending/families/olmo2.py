"""OLMo 2: Llama with norms on the outputs of attention and MLP in place of their inputs.

The value projection's input is the residual stream itself. Queries and keys have a norm over all
their heads.
"""

from tending.families._llama_layout import Layout

FAMILY = Layout(norms=("post_attention_layernorm", "post_feedforward_layernorm"), qk_norm="all")
