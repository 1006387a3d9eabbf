"""SmolLM3: Llama without rotary positions in some layers and with a tied head."""

from tending.families._llama_layout import ATTENTION, MLP, Layout

FAMILY = Layout(
    TIED=True, value_heads=4, optional_bias=(("attention_bias", ATTENTION), ("mlp_bias", MLP))
)
