"""OLMo: Llama with norms that have no weights, and optional clipping of queries, keys, values."""

from dataclasses import replace

from tending.core.aliases import Config
from tending.families import Attention, Weights
from tending.families._llama_layout import Layout


class _Clipped(Layout):
    def attention(self, weights: Weights, config: Config, layer: int) -> Attention:
        """Value and output maps; values are clipped to +-`clip_qkv` after their projection."""
        return replace(super().attention(weights, config, layer), clip=config.get("clip_qkv"))


FAMILY = _Clipped(norms=(), final_norm=False)
