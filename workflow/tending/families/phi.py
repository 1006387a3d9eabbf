"""Phi-1, 1.5 and 2: attention and MLP read the same norm, and everything has a bias."""

from tending.core.aliases import Config
from tending.families import Architecture, Attention, QueryKey, Weights, _heads

PREFIX = "model."
EMBEDDING = "embed_tokens.weight"
HEADS = ("lm_head.",)
TIED = False


def architecture(config: Config) -> Architecture:
    """Sizes from config.json."""
    d_model, heads = config["hidden_size"], config["num_attention_heads"]
    return Architecture(
        layers=config["num_hidden_layers"],
        d_model=d_model,
        heads=heads,
        d_head=config.get("head_dim") or d_model // heads,
        vocabulary=config["vocab_size"],
        context=config["max_position_embeddings"],
    )


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Shape of every weight."""
    sizes = architecture(config)
    d, mlp = sizes.d_model, config["intermediate_size"]
    queries, keys = sizes.heads * sizes.d_head, _value_heads(config) * sizes.d_head
    layer: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj": (queries, d),
        "self_attn.k_proj": (keys, d),
        "self_attn.v_proj": (keys, d),
        "self_attn.dense": (d, queries),
        "mlp.fc1": (mlp, d),
        "mlp.fc2": (d, mlp),
        "input_layernorm": (d,),
    }
    if config.get("qk_layernorm", False):
        layer |= {f"self_attn.{name}_layernorm": (d // sizes.heads,) for name in "qk"}
    found: dict[str, tuple[int, ...]] = {
        "final_layernorm": (d,),
        **{f"layers.{i}.{name}": s for i in range(sizes.layers) for name, s in layer.items()},
    }
    return {
        EMBEDDING: (sizes.vocabulary, d),
        **{f"{name}.weight": shape for name, shape in found.items()},
        **{f"{name}.bias": shape[:1] for name, shape in found.items()},
    }


def _value_heads(config: Config) -> int:
    return int(config.get("num_key_value_heads") or config["num_attention_heads"])


def value_module(layer: int) -> str:
    """The projection of the values."""
    return f"layers.{layer}.self_attn.v_proj"


def attention_module(layer: int) -> str:
    """The output projection of attention."""
    return f"layers.{layer}.self_attn.dense"


def attention_aside(config: Config, layer: int) -> str:
    """The attention module, which runs in parallel with the MLP."""
    return f"layers.{layer}.self_attn"


def mlp_in_module(layer: int) -> str:
    """The up-projection."""
    return f"layers.{layer}.mlp.fc1"


def mlp_out_module(layer: int) -> str:
    """The down-projection."""
    return f"layers.{layer}.mlp.fc2"


def block_module(layer: int) -> str:
    """The whole block."""
    return f"layers.{layer}"


def attention(weights: Weights, config: Config, layer: int) -> Attention:
    """Value and output maps, split into heads; value heads may be shared."""
    block = f"layers.{layer}.self_attn"
    heads, shared = config["num_attention_heads"], _value_heads(config)
    return _heads.separate(weights, f"{block}.v_proj", f"{block}.dense", heads, shared)


def query_key(weights: Weights, config: Config, layer: int) -> QueryKey:
    """Query and key maps, split into heads; key heads may be shared."""
    block = f"layers.{layer}.self_attn"
    heads, shared = config["num_attention_heads"], _value_heads(config)
    return _heads.separate_query_key(weights, f"{block}.q_proj", f"{block}.k_proj", heads, shared)


def mlp_in(weights: Weights, layer: int) -> object:
    """The up-projection's matrix, (d_mlp, d_model)."""
    return weights[f"{mlp_in_module(layer)}.weight"]


def mlp_out(weights: Weights, layer: int) -> object:
    """The down-projection's matrix, (d_model, d_mlp)."""
    return weights[f"{mlp_out_module(layer)}.weight"]
