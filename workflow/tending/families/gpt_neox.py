"""GPT-NeoX: Pythia, PolyPythias, and the suites that this workflow trains."""

from dataclasses import replace

from tending.core.aliases import Config
from tending.families import Architecture, Attention, QueryKey, Weights, _heads

PREFIX = "gpt_neox."
EMBEDDING = "embed_in.weight"
HEADS = ("embed_out.", "lm_head.")  # by its old and its new name in transformers
TIED = False


def architecture(config: Config) -> Architecture:
    """Sizes from config.json."""
    d_model, heads = config["hidden_size"], config["num_attention_heads"]
    return Architecture(
        layers=config["num_hidden_layers"],
        d_model=d_model,
        heads=heads,
        d_head=d_model // heads,
        vocabulary=config["vocab_size"],
        context=config["max_position_embeddings"],
    )


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Shape of every weight; the buffers of old checkpoints (masks, rotary) are not weights."""
    sizes = architecture(config)
    d, mlp = sizes.d_model, config["intermediate_size"]
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm.weight": (d,),
        "input_layernorm.bias": (d,),
        "post_attention_layernorm.weight": (d,),
        "post_attention_layernorm.bias": (d,),
        "attention.query_key_value.weight": (3 * d, d),
        "attention.dense.weight": (d, d),
        "mlp.dense_h_to_4h.weight": (mlp, d),
        "mlp.dense_h_to_4h.bias": (mlp,),
        "mlp.dense_4h_to_h.weight": (d, mlp),
        "mlp.dense_4h_to_h.bias": (d,),
    }
    if config.get("attention_bias", True):
        layer["attention.query_key_value.bias"] = (3 * d,)
        layer["attention.dense.bias"] = (d,)
    return {
        EMBEDDING: (sizes.vocabulary, d),
        "final_layer_norm.weight": (d,),
        "final_layer_norm.bias": (d,),
        **{f"layers.{i}.{name}": s for i in range(sizes.layers) for name, s in layer.items()},
    }


def value_module(layer: int) -> str:
    """The fused projection of LN(x) to query, key and value."""
    return f"layers.{layer}.attention.query_key_value"


def attention_module(layer: int) -> str:
    """The output projection of attention."""
    return f"layers.{layer}.attention.dense"


def attention_aside(config: Config, layer: int) -> str | None:
    """The attention module, parallel to the MLP unless `use_parallel_residual` is false."""
    return f"layers.{layer}.attention" if config.get("use_parallel_residual", True) else None


def mlp_in_module(layer: int) -> str:
    """The up-projection."""
    return f"layers.{layer}.mlp.dense_h_to_4h"


def mlp_out_module(layer: int) -> str:
    """The down-projection."""
    return f"layers.{layer}.mlp.dense_4h_to_h"


def block_module(layer: int) -> str:
    """The whole block."""
    return f"layers.{layer}"


def attention(weights: Weights, config: Config, layer: int) -> Attention:
    """Value and output maps: query, key and value are fused per head."""
    block = f"layers.{layer}.attention"
    return _heads.fused(
        weights,
        f"{block}.query_key_value",
        f"{block}.dense",
        heads=architecture(config).heads,
    )


def published_attention(weights: Weights, config: Config, layer: int) -> Attention:
    """Return the maps as the code of arXiv 2410.11451 splits them: values are the last third.

    This third of the rows holds the queries, keys and values of the last third of the heads. The
    output map is split as in `attention`.
    """
    sizes = architecture(config)
    heads, d_head, d = sizes.heads, sizes.d_head, sizes.d_model
    fused = f"layers.{layer}.attention.query_key_value"
    bias = weights.get(f"{fused}.bias")
    return replace(
        attention(weights, config, layer),
        value=weights[f"{fused}.weight"][2 * d :].reshape(heads, d_head, d),
        value_bias=None if bias is None else bias[2 * d :].reshape(heads, d_head),
    )


def query_key(weights: Weights, config: Config, layer: int) -> QueryKey:
    """Query and key maps, from the same fused projection as the values."""
    return _heads.fused_query_key(weights, value_module(layer), architecture(config).heads)


def mlp_in(weights: Weights, layer: int) -> object:
    """The up-projection's matrix, (d_mlp, d_model)."""
    return weights[f"{mlp_in_module(layer)}.weight"]


def mlp_out(weights: Weights, layer: int) -> object:
    """The down-projection's matrix, (d_model, d_mlp)."""
    return weights[f"layers.{layer}.mlp.dense_4h_to_h.weight"]
