"""Qwen2 and Qwen2.5: Llama with biases on queries, keys and values, and on nothing else."""

from tending.families._llama_layout import QKV, Layout

FAMILY = Layout(value_heads=32, biased=QKV, optional_bias=())
