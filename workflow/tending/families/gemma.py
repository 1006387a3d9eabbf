"""Gemma: Llama with wide heads and a tied head.

Its norms multiply by 1 + weight; that happens before the value projection, whose input is
captured as the model computes it.
"""

from tending.families._llama_layout import Layout

FAMILY = Layout(TIED=True, d_head=256, value_heads=16)
