"""SmolLM3: Llama that leaves out the rotary positions in some layers; its head is tied."""

from tending.families._llama_layout import ATTENTION, MLP, Layout

FAMILY = Layout(
    TIED=True, value_heads=4, optional_bias=(("attention_bias", ATTENTION), ("mlp_bias", MLP))
)
