"""Gemma 3, the text models: Gemma 2 with a norm on each query and key head, without the cap."""

from tending.families._llama_layout import SANDWICH_NORMS, Layout

FAMILY = Layout(TIED=True, d_head=256, value_heads=4, norms=SANDWICH_NORMS, qk_norm="head")
