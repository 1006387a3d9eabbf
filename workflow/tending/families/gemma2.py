"""Gemma 2: Gemma with norms before and after attention and MLP, and a cap on the logits.

`mlp_out` is the down-projection's output, before the norm that follows it.
"""

from tending.families._llama_layout import SANDWICH_NORMS, Layout

FAMILY = Layout(TIED=True, d_head=256, value_heads=4, logit_cap=30.0, norms=SANDWICH_NORMS)
