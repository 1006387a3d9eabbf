"""OPT. The 350m model has its norms after attention and MLP, and narrower embeddings."""

from tending.core.aliases import Config
from tending.families import Architecture, Attention, QueryKey, Weights, _heads

PREFIX = "model."
EMBEDDING = "decoder.embed_tokens.weight"
HEADS = ("lm_head.",)
TIED = True

_OFFSET = 2  # the table of positions has two rows before that of position 0


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
    """Shape of every weight."""
    sizes = architecture(config)
    d, mlp = sizes.d_model, config["ffn_dim"]
    narrow = config.get("word_embed_proj_dim") or d
    projections = {f"self_attn.{name}_proj": (d, d) for name in ("q", "k", "v", "out")}
    layer: dict[str, tuple[int, ...]] = {}
    for name, shape in {**projections, "fc1": (mlp, d), "fc2": (d, mlp)}.items():
        layer[f"{name}.weight"] = shape
        if config.get("enable_bias", True):
            layer[f"{name}.bias"] = shape[:1]
    layer |= _norm(config, "self_attn_layer_norm") | _norm(config, "final_layer_norm")
    found: dict[str, tuple[int, ...]] = {
        "embed_tokens.weight": (sizes.vocabulary, narrow),
        "embed_positions.weight": (sizes.context + _OFFSET, d),
    }
    if narrow != d:
        found |= {"project_in.weight": (d, narrow), "project_out.weight": (narrow, d)}
    if config.get("do_layer_norm_before", True) and not config.get("_remove_final_layer_norm"):
        found |= _norm(config, "final_layer_norm")
    found |= {f"layers.{i}.{name}": s for i in range(sizes.layers) for name, s in layer.items()}
    return {f"decoder.{name}": shape for name, shape in found.items()}


def _norm(config: Config, name: str) -> dict[str, tuple[int, ...]]:
    if not config.get("layer_norm_elementwise_affine", True):
        return {}
    return {f"{name}.{part}": (config["hidden_size"],) for part in ("weight", "bias")}


def value_module(layer: int) -> str:
    """The projection of the values; in the 350m model its input is the residual stream itself."""
    return f"decoder.layers.{layer}.self_attn.v_proj"


def attention_module(layer: int) -> str:
    """The output projection of attention."""
    return f"decoder.layers.{layer}.self_attn.out_proj"


def mlp_in_module(layer: int) -> str:
    """The up-projection."""
    return f"decoder.layers.{layer}.fc1"


def mlp_out_module(layer: int) -> str:
    """The down-projection; transformers passes it all tokens flattened, without a batch axis."""
    return f"decoder.layers.{layer}.fc2"


def block_module(layer: int) -> str:
    """The whole block."""
    return f"decoder.layers.{layer}"


def attention(weights: Weights, config: Config, layer: int) -> Attention:
    """Value and output maps, split into heads."""
    block, heads = f"decoder.layers.{layer}.self_attn", config["num_attention_heads"]
    return _heads.separate(weights, f"{block}.v_proj", f"{block}.out_proj", heads)


def query_key(weights: Weights, config: Config, layer: int) -> QueryKey:
    """Query and key maps, split into heads."""
    block, heads = f"decoder.layers.{layer}.self_attn", config["num_attention_heads"]
    return _heads.separate_query_key(weights, f"{block}.q_proj", f"{block}.k_proj", heads)


def mlp_in(weights: Weights, layer: int) -> object:
    """The up-projection's matrix, (d_mlp, d_model)."""
    return weights[f"{mlp_in_module(layer)}.weight"]


def mlp_out(weights: Weights, layer: int) -> object:
    """The down-projection's matrix, (d_model, d_mlp)."""
    return weights[f"{mlp_out_module(layer)}.weight"]
