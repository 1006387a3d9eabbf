"""Llama: the layout as it is, with biases where the config enables them."""

from tending.families._llama_layout import ATTENTION, MLP, Layout

FAMILY = Layout(optional_bias=(("attention_bias", ATTENTION), ("mlp_bias", MLP)))
