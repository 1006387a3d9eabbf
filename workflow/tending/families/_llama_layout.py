"""The block layout of Llama, and the variations of related families.

Separate projections q, k, v and o, grouped-query attention, a gated MLP. A family of this layout
is a `Layout` that specifies its differences.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tending.core.aliases import Config
from tending.families import Architecture, Attention, QueryKey, Weights, _heads

QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
ATTENTION = (*QKV, "self_attn.o_proj")
MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
PRE_NORMS = ("input_layernorm", "post_attention_layernorm")
SANDWICH_NORMS = (*PRE_NORMS, "pre_feedforward_layernorm", "post_feedforward_layernorm")

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Layout:
    """Llama's layout with a family's own defaults.

    TIED: whether the head's matrix is the embedding's if config.json does not say.
    d_head, value_heads, logit_cap: defaults if config.json has no `head_dim`,
    `num_key_value_heads`, `final_logit_softcapping`; None is d_model / heads, heads, no cap.
    optional_bias: options of the config, false by default, with the projections that have a bias
    if they are set. biased: projections that always have a bias. norms: the norms of a layer that
    have weights. qk_norm: the norm of queries and keys, over each head or over all heads; None if
    they have none. final_norm: whether the final norm has weights.
    """

    PREFIX: ClassVar[str] = "model."
    EMBEDDING: ClassVar[str] = "embed_tokens.weight"
    HEADS: ClassVar[tuple[str, ...]] = ("lm_head.",)

    TIED: bool = False
    d_head: int | None = None
    value_heads: int | None = None
    logit_cap: float | None = None
    optional_bias: tuple[tuple[str, tuple[str, ...]], ...] = (("attention_bias", ATTENTION),)
    biased: tuple[str, ...] = ()
    norms: tuple[str, ...] = PRE_NORMS
    qk_norm: Literal["head", "all"] | None = None
    final_norm: bool = True

    def architecture(self, config: Config) -> Architecture:
        """Sizes from config.json."""
        d_model, heads = config["hidden_size"], config["num_attention_heads"]
        return Architecture(
            layers=config["num_hidden_layers"],
            d_model=d_model,
            heads=heads,
            d_head=config.get("head_dim", self.d_head) or d_model // heads,
            vocabulary=config["vocab_size"],
            context=config["max_position_embeddings"],
            logit_cap=config.get("final_logit_softcapping", self.logit_cap),
        )

    def shapes(self, config: Config) -> Shapes:
        """Return the shape of every weight; rotary buffers of old checkpoints are not weights."""
        sizes, layer = self.architecture(config), self._layer(config)
        final: Shapes = {"norm.weight": (sizes.d_model,)} if self.final_norm else {}
        return {
            self.EMBEDDING: (sizes.vocabulary, sizes.d_model),
            **final,
            **{f"layers.{i}.{name}": s for i in range(sizes.layers) for name, s in layer.items()},
        }

    def value_module(self, layer: int) -> str:
        """The projection of the values."""
        return f"layers.{layer}.self_attn.v_proj"

    def attention_module(self, layer: int) -> str:
        """The output projection of attention."""
        return f"layers.{layer}.self_attn.o_proj"

    def mlp_in_module(self, layer: int) -> str:
        """The up-projection."""
        return f"layers.{layer}.mlp.up_proj"

    def mlp_gate_module(self, layer: int) -> str:
        """The gate's projection."""
        return f"layers.{layer}.mlp.gate_proj"

    def mlp_out_module(self, layer: int) -> str:
        """The down-projection."""
        return f"layers.{layer}.mlp.down_proj"

    def block_module(self, layer: int) -> str:
        """The whole block."""
        return f"layers.{layer}"

    def attention(self, weights: Weights, config: Config, layer: int) -> Attention:
        """Value and output maps, split into heads; value heads may be shared."""
        block = f"layers.{layer}.self_attn"
        heads, shared = config["num_attention_heads"], self._value_heads(config)
        return _heads.separate(weights, f"{block}.v_proj", f"{block}.o_proj", heads, shared)

    def query_key(self, weights: Weights, config: Config, layer: int) -> QueryKey:
        """Query and key maps, split into heads; key heads may be shared."""
        block = f"layers.{layer}.self_attn"
        heads, shared = config["num_attention_heads"], self._value_heads(config)
        return _heads.separate_query_key(
            weights, f"{block}.q_proj", f"{block}.k_proj", heads, shared
        )

    def mlp_in(self, weights: Weights, layer: int) -> Any:
        """The up-projection's matrix, (d_mlp, d_model)."""
        return weights[f"{self.mlp_in_module(layer)}.weight"]

    def mlp_gate(self, weights: Weights, layer: int) -> Any:
        """The gate's matrix, (d_mlp, d_model)."""
        return weights[f"{self.mlp_gate_module(layer)}.weight"]

    def mlp_out(self, weights: Weights, layer: int) -> Any:
        """The down-projection's matrix, (d_model, d_mlp)."""
        return weights[f"{self.mlp_out_module(layer)}.weight"]

    def _value_heads(self, config: Config) -> int:
        found = config.get("num_key_value_heads", self.value_heads)
        return int(found or config["num_attention_heads"])

    def _layer(self, config: Config) -> Shapes:
        """Shapes of one layer's weights."""
        sizes, d_mlp = self.architecture(config), config["intermediate_size"]
        d, queries = sizes.d_model, sizes.heads * sizes.d_head
        keys = self._value_heads(config) * sizes.d_head
        widths = ((queries, d), (keys, d), (keys, d), (d, queries), (d_mlp, d), (d_mlp, d))
        matrices = dict(zip((*ATTENTION, *MLP), (*widths, (d, d_mlp)), strict=True))
        chosen = [names for option, names in self.optional_bias if config.get(option, False)]
        shapes: Shapes = {f"{name}.weight": shape for name, shape in matrices.items()}
        for name in sum(chosen, self.biased):
            shapes[f"{name}.bias"] = (matrices[name][0],)
        shapes |= {f"{name}.weight": (d,) for name in self.norms}
        if self.qk_norm:
            whole = self.qk_norm == "all"
            shapes["self_attn.q_norm.weight"] = (queries if whole else sizes.d_head,)
            shapes["self_attn.k_norm.weight"] = (keys if whole else sizes.d_head,)
        return shapes
