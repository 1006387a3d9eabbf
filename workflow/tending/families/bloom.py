"""BLOOM. Its attention and MLP modules add the residual; the modules named here do not."""

from tending.core.aliases import Config
from tending.families import Architecture, Attention, QueryKey, Weights, _heads

PREFIX = "transformer."
EMBEDDING = "word_embeddings.weight"
HEADS = ("lm_head.",)
TIED = True

# ASSUME: positions are ALiBi's, without a table or a limit; BLOOM was trained on 2048 tokens.
_CONTEXT = 2048


def architecture(config: Config) -> Architecture:
    """Read sizes from config.json; raise ValueError for options that bypass the hooked modules."""
    ranks = config.get("pretraining_tp", 1)
    if config.get("slow_but_exact") and ranks > 1:
        raise ValueError(
            f"bloom with `slow_but_exact` and `pretraining_tp` = {ranks} bypasses its output "
            f"projections; set `slow_but_exact` to false in config.json"
        )
    d_model, heads = _size(config, "n_embed", "hidden_size"), _heads_of(config)
    return Architecture(
        layers=_size(config, "n_layer", "num_hidden_layers"),
        d_model=d_model,
        heads=heads,
        d_head=d_model // heads,
        vocabulary=config["vocab_size"],
        context=config.get("seq_length", _CONTEXT),
    )


def _size(config: Config, name: str, other: str) -> int:
    """A size under either of its two names."""
    return int(config[name] if name in config else config[other])


def _heads_of(config: Config) -> int:
    return _size(config, "n_head", "num_attention_heads")


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Shape of every weight."""
    sizes = architecture(config)
    d = sizes.d_model
    maps = {
        "self_attention.query_key_value": (3 * d, d),
        "self_attention.dense": (d, d),
        "mlp.dense_h_to_4h": (4 * d, d),
        "mlp.dense_4h_to_h": (d, 4 * d),
        "input_layernorm": (d,),
        "post_attention_layernorm": (d,),
    }
    found: dict[str, tuple[int, ...]] = {EMBEDDING: (sizes.vocabulary, d)}
    for norm in ("word_embeddings_layernorm", "ln_f"):
        found |= {f"{norm}.weight": (d,), f"{norm}.bias": (d,)}
    for i in range(sizes.layers):
        for name, shape in maps.items():
            found |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[:1]}
    return found


def value_module(layer: int) -> str:
    """The fused projection of LN(x) to query, key and value."""
    return f"h.{layer}.self_attention.query_key_value"


def attention_module(layer: int) -> str:
    """The output projection of attention."""
    return f"h.{layer}.self_attention.dense"


def mlp_in_module(layer: int) -> str:
    """The up-projection."""
    return f"h.{layer}.mlp.dense_h_to_4h"


def mlp_out_module(layer: int) -> str:
    """The down-projection, before the residual is added."""
    return f"h.{layer}.mlp.dense_4h_to_h"


def block_module(layer: int) -> str:
    """The whole block."""
    return f"h.{layer}"


def attention(weights: Weights, config: Config, layer: int) -> Attention:
    """Value and output maps: query, key and value are fused per head."""
    block = f"h.{layer}.self_attention"
    return _heads.fused(
        weights, f"{block}.query_key_value", f"{block}.dense", heads=_heads_of(config)
    )


def query_key(weights: Weights, config: Config, layer: int) -> QueryKey:
    """Query and key maps, from the same fused projection as the values."""
    return _heads.fused_query_key(weights, value_module(layer), _heads_of(config))


def mlp_in(weights: Weights, layer: int) -> object:
    """The up-projection's matrix, (d_mlp, d_model)."""
    return weights[f"{mlp_in_module(layer)}.weight"]


def mlp_out(weights: Weights, layer: int) -> object:
    """The down-projection's matrix, (d_model, d_mlp)."""
    return weights[f"{mlp_out_module(layer)}.weight"]
