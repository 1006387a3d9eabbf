"""SmolLM3: Llama that leaves out the rotary positions in some layers; its head is tied."""

from tending.families import _llama_layout
from tending.families._llama_layout import ATTENTION, MLP, Layout

_LAYOUT = Layout(value_heads=4, optional_bias=(("attention_bias", ATTENTION), ("mlp_bias", MLP)))

PREFIX = _llama_layout.PREFIX
HEADS = _llama_layout.HEADS
TIED = True

architecture = _LAYOUT.architecture
shapes = _LAYOUT.shapes
value_module = _LAYOUT.value_module
mlp_out_module = _LAYOUT.mlp_out_module
attention = _LAYOUT.attention
mlp_out = _LAYOUT.mlp_out
