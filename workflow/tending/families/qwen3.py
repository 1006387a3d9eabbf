"""Qwen3: Llama with an independent head width and a norm on each query and key head."""

from tending.families._llama_layout import Layout

FAMILY = Layout(d_head=128, value_heads=32, qk_norm="head")
