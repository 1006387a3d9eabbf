"""GPT-2, and suites trained with its code, such as CRFM's Mistral models.

Linear maps are `Conv1D`: their weights are (in, out), the transpose of a linear layer's.
"""

from tending.families import Architecture, Attention, Config, Weights

PREFIX = "transformer."
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
    """Shape of every weight; the causal masks `attn.bias` of old checkpoints are no weights."""
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
        "wte.weight": (sizes.vocabulary, d),
        "wpe.weight": (sizes.context, d),
        "ln_f.weight": (d,),
        "ln_f.bias": (d,),
        **{f"h.{i}.{name}": s for i in range(sizes.layers) for name, s in layer.items()},
    }


def value_module(layer: int) -> str:
    """Query, key and value come from one fused projection of LN(x)."""
    return f"h.{layer}.attn.c_attn"


def mlp_out_module(layer: int) -> str:
    """The down-projection."""
    return f"h.{layer}.mlp.c_proj"


def attention(weights: Weights, config: Config, layer: int) -> Attention:
    """Value and output maps, split into heads.

    The fused projection's columns are [(query, key, value), head, d_head]: here the values are
    the last third.
    """
    sizes, block = architecture(config), f"h.{layer}.attn"
    heads, d_head, d = sizes.heads, sizes.d_head, sizes.d_model
    value = weights[f"{block}.c_attn.weight"][:, 2 * d :].reshape(d, heads, d_head)
    output = weights[f"{block}.c_proj.weight"].reshape(heads, d_head, d)
    return Attention(
        value=value.swapaxes(0, 1).swapaxes(1, 2),
        value_bias=weights[f"{block}.c_attn.bias"][2 * d :].reshape(heads, d_head),
        output=output.swapaxes(1, 2),
        output_bias=weights[f"{block}.c_proj.bias"],
    )


def mlp_out(weights: Weights, layer: int) -> object:
    """The down-projection's matrix, (d_model, d_mlp)."""
    return weights[f"h.{layer}.mlp.c_proj.weight"].swapaxes(0, 1)
