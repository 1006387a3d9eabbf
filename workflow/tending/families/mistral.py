"""Mistral: Llama without biases; 8 value heads unless the config says otherwise."""

from tending.families._llama_layout import Layout

FAMILY = Layout(value_heads=8, optional_bias=())
