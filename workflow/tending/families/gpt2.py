"""GPT-2, and suites trained with its code, such as CRFM's Mistral models.

Linear maps are `Conv1D`: their weights are (in, out), the transpose of a linear layer's.
"""

from typing import Any

from tending.core.aliases import Config
from tending.families import Architecture, Attention, QueryKey, Weights

PREFIX = "transformer."
EMBEDDING = "wte.weight"
HEADS = ("lm_head.",)
TIED = True


def architecture(config: Config) -> Architecture:
    """Sizes from config.json."""
    d_model, heads = config["n_embd"], config["n_head"]
    return Architecture(
        layers=config["n_layer"],
        d_model=d_model,
        heads=heads,
        d_head=d_model // heads,
        vocabulary=config["vocab_size"],
        context=config["n_positions"],
    )


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight; causal masks `attn.bias` in old files are not weights."""
    sizes = architecture(config)
    d, mlp = sizes.d_model, config.get("n_inner") or 4 * sizes.d_model
    maps = {
        "attn.c_attn": (d, 3 * d),
        "attn.c_proj": (d, d),
        "mlp.c_fc": (d, mlp),
        "mlp.c_proj": (mlp, d),
    }
    layer: dict[str, tuple[int, ...]] = {}
    for name, (inner, outer) in maps.items():
        layer |= {f"{name}.weight": (inner, outer), f"{name}.bias": (outer,)}
    for norm in ("ln_1", "ln_2"):
        layer |= {f"{norm}.weight": (d,), f"{norm}.bias": (d,)}
    return {
        EMBEDDING: (sizes.vocabulary, d),
        "wpe.weight": (sizes.context, d),
        "ln_f.weight": (d,),
        "ln_f.bias": (d,),
        **{f"h.{i}.{name}": s for i in range(sizes.layers) for name, s in layer.items()},
    }


def value_module(layer: int) -> str:
    """The fused projection of LN(x) to query, key and value."""
    return f"h.{layer}.attn.c_attn"


def attention_module(layer: int) -> str:
    """The output projection of attention."""
    return f"h.{layer}.attn.c_proj"


def mlp_in_module(layer: int) -> str:
    """The up-projection."""
    return f"h.{layer}.mlp.c_fc"


def mlp_out_module(layer: int) -> str:
    """The down-projection."""
    return f"h.{layer}.mlp.c_proj"


def block_module(layer: int) -> str:
    """The whole block."""
    return f"h.{layer}"


def attention(weights: Weights, config: Config, layer: int) -> Attention:
    """Value and output maps, split into heads; here the values are the last third."""
    sizes, output = architecture(config), attention_module(layer)
    value, value_bias = _third(weights, config, layer, 2)
    rows = weights[f"{output}.weight"].reshape(sizes.heads, sizes.d_head, sizes.d_model)
    return Attention(
        value=value,
        value_bias=value_bias,
        output=rows.swapaxes(1, 2),
        output_bias=weights[f"{output}.bias"],
    )


def query_key(weights: Weights, config: Config, layer: int) -> QueryKey:
    """Query and key maps: the first and the second third of the fused projection's columns."""
    return QueryKey(*_third(weights, config, layer, 0), *_third(weights, config, layer, 1))


def _third(weights: Weights, config: Config, layer: int, part: int) -> tuple[Any, Any]:
    """Query (0), key (1) or value (2) map, (heads, d_head, d_model), and bias, (heads, d_head).

    The fused projection's columns are [(query, key, value), head, d_head].
    """
    sizes = architecture(config)
    heads, d_head, d = sizes.heads, sizes.d_head, sizes.d_model
    columns, module = slice(part * d, (part + 1) * d), value_module(layer)
    maps = weights[f"{module}.weight"][:, columns].reshape(d, heads, d_head)
    bias = weights[f"{module}.bias"][columns].reshape(heads, d_head)
    return maps.swapaxes(0, 1).swapaxes(1, 2), bias


def mlp_in(weights: Weights, layer: int) -> object:
    """The up-projection's matrix, (d_mlp, d_model)."""
    return weights[f"{mlp_in_module(layer)}.weight"].swapaxes(0, 1)


def mlp_out(weights: Weights, layer: int) -> object:
    """The down-projection's matrix, (d_model, d_mlp)."""
    return weights[f"h.{layer}.mlp.c_proj.weight"].swapaxes(0, 1)
