"""Gemma 4, text models whose layers are all alike: Gemma 3 with a norm on every head's values.

Options that make layers differ, or share keys and values, are rejected: the published models use
them, so this family is for models trained from a custom config.
"""

from dataclasses import replace
from typing import Any

from tending.core.aliases import Config
from tending.families import Architecture, Attention, Weights
from tending.families._llama_layout import SANDWICH_NORMS, Layout, Shapes

_GLOBAL_D_HEAD = 512  # of full-attention layers, unless a config names another
_REFUSED = {
    "num_kv_shared_layers": "layers that reuse another layer's keys and values have no W_V",
    "attention_k_eq_v": "values that are the keys have no projection of their own",
    "enable_moe_block": "a mixture of experts has no single down-projection",
}


class _Alike(Layout):
    def architecture(self, config: Config) -> Architecture:
        """Read sizes from config.json; raise ValueError if the layers are not all alike."""
        for option, reason in _REFUSED.items():
            if config.get(option):
                raise ValueError(
                    f"gemma4_text with `{option}` = {config[option]} cannot be described: "
                    f"{reason}; leave the model out of the study"
                )
        sizes = super().architecture(config)
        overrides = _overrides(config)
        value_heads = config.get("num_key_value_heads", self.value_heads)
        usual = {"head_dim": sizes.d_head, "num_key_value_heads": value_heads}
        if any(usual.get(k, value) != value for layer in overrides for k, value in layer.items()):
            raise ValueError(
                f"gemma4_text with heads of several shapes ({usual}, but {overrides}) cannot be "
                f"described: all layers must be alike; leave the model out of the study"
            )
        return sizes

    def shapes(self, config: Config) -> Shapes:
        """Return the shape of every weight; each layer's factor `layer_scalar` is a buffer."""
        narrow = config.get("hidden_size_per_layer_input", 256)
        found = super().shapes(config)
        return found | self._inputs_per_layer(config, narrow) if narrow else found

    def _inputs_per_layer(self, config: Config, narrow: int) -> Shapes:
        sizes = self.architecture(config)
        d, wide = sizes.d_model, sizes.layers * narrow
        rows = config.get("vocab_size_per_layer_input", 262144)
        found: Shapes = {
            "embed_tokens_per_layer.weight": (rows, wide),
            "per_layer_model_projection.weight": (wide, d),
            "per_layer_projection_norm.weight": (narrow,),
        }
        for i in range(sizes.layers):
            found[f"layers.{i}.per_layer_input_gate.weight"] = (narrow, d)
            found[f"layers.{i}.per_layer_projection.weight"] = (d, narrow)
            found[f"layers.{i}.post_per_layer_input_norm.weight"] = (d,)
        return found

    def attention(self, weights: Weights, config: Config, layer: int) -> Attention:
        """Value and output maps; each head's values are normed, without weights."""
        eps = config.get("rms_norm_eps", 1e-6)
        return replace(super().attention(weights, config, layer), rms_eps=eps)


def _overrides(config: Config) -> list[dict[str, Any]]:
    """Return the overrides of single layers; by default full-attention layers are wider."""
    if "per_layer_config" in config:
        return list(config["per_layer_config"].values())
    return [{"head_dim": config.get("global_head_dim", _GLOBAL_D_HEAD)}]


FAMILY = _Alike(TIED=True, d_head=256, value_heads=4, norms=SANDWICH_NORMS, qk_norm="head")
