"""OLMo: Llama whose norms have no weights, and which may clip queries, keys and values."""

from dataclasses import replace

from tending.families import Attention, Config, Weights, _llama_layout
from tending.families._llama_layout import Layout

_LAYOUT = Layout(norms=(), final_norm=False)

PREFIX = _llama_layout.PREFIX
HEADS = _llama_layout.HEADS
TIED = False

architecture = _LAYOUT.architecture
shapes = _LAYOUT.shapes
value_module = _LAYOUT.value_module
mlp_out_module = _LAYOUT.mlp_out_module
mlp_out = _LAYOUT.mlp_out


def attention(weights: Weights, config: Config, layer: int) -> Attention:
    """Value and output maps; values are cut off at `clip_qkv` after their projection."""
    return replace(_LAYOUT.attention(weights, config, layer), clip=config.get("clip_qkv"))
