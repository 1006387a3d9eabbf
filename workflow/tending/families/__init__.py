"""Model families, one file each, named after the checkpoint's `model_type`.

A family file locates the weights of attention and MLP and describes their layout; it contains no
mathematics. It has the names of `Family`, at its top level or as attributes of an object called
FAMILY there; those of `GatedFamily` if its MLP has a gate; `attention_aside` if its MLP may run in
parallel with attention instead of after it, so that the last layer's attention can be skipped; and
those of `PublishedFamily` if the code of arXiv 2410.11451 is applicable to its layout. Arrays may
be NumPy's or torch's: only slicing and reshaping are used. Options missing from a config.json have
the defaults of transformers' config class; sizes must be present. Files with a leading underscore
hold code that several families share and are not families themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from tending.core import plugins
from tending.core.aliases import Config

Weights = Mapping[str, Any]


@dataclass(frozen=True)
class Architecture:
    """Sizes of a model, and the cap on its logits.

    d_head is one head's width, context the longest sequence in tokens. With a logit_cap c the
    logits x become c tanh(x / c).
    """

    layers: int
    d_model: int
    heads: int
    d_head: int
    vocabulary: int
    context: int
    logit_cap: float | None = None


@dataclass(frozen=True)
class Attention:
    """Value and output maps of one layer, split into heads.

    value: (heads, d_head, d_model); value_bias: (heads, d_head) or None;
    output: (heads, d_model, d_head); output_bias: (d_model,) or None.
    value_heads: number of distinct value maps, if neighbouring heads share them; None if no head
    does. Between the two maps, with a clip c, values are clipped to [-c, c]; then, with an
    rms_eps e, each head's value v is divided by sqrt(mean(v^2) + e).
    """

    value: Any
    value_bias: Any | None
    output: Any
    output_bias: Any | None
    value_heads: int | None = None
    clip: float | None = None
    rms_eps: float | None = None


@dataclass(frozen=True)
class QueryKey:
    """Query and key maps of one layer, split into heads; heads may share a key map.

    query, key: (heads, d_head, d_model); query_bias, key_bias: (heads, d_head) or None.
    Other steps to the attention scores are not included: positions, norms, clipping, scale,
    softcap.
    """

    query: Any
    query_bias: Any | None
    key: Any
    key_bias: Any | None


class Family(Protocol):
    """The interface of a family file. Weight and module names are relative to the base model.

    Modules are linear projections, except the block, and are hooked: a residual or norm that
    follows one is not part of its output.
    """

    PREFIX: str  # of the base model's weights in a causal-LM checkpoint, e.g. "gpt_neox."
    EMBEDDING: str  # name of the input embedding's matrix, (vocabulary, width)
    HEADS: tuple[str, ...]  # of the output head's weights there, e.g. ("lm_head.",)
    TIED: bool  # whether the head's matrix is the embedding's where config.json does not say

    def architecture(self, config: Config) -> Architecture:
        """Read sizes from the checkpoint's config.json.

        Raises ValueError, with the setting and the remedy, for a model that the family's maps do
        not describe.
        """

    def shapes(self, config: Config) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight that a checkpoint with this config must hold."""

    def value_module(self, layer: int) -> str:
        """Return the module that holds W_V; its input, however computed, is LN(x)."""

    def attention_module(self, layer: int) -> str:
        """Return the module that holds W_O; its output is the `attention_out` activation."""

    def mlp_in_module(self, layer: int) -> str:
        """Return the MLP's up-projection; its output is the `mlp_in` activation."""

    def mlp_out_module(self, layer: int) -> str:
        """Return the MLP's down-projection; its output is the `mlp_out` activation."""

    def block_module(self, layer: int) -> str:
        """Return the whole block.

        Its first argument is the residual stream before it; its output, or the first part of a
        tuple, is the residual stream after it.
        """

    def attention(self, weights: Weights, config: Config, layer: int) -> Attention:
        """Return value and output maps of `layer`, split into heads."""

    def query_key(self, weights: Weights, config: Config, layer: int) -> QueryKey:
        """Return query and key maps of `layer`, split into heads."""

    def mlp_in(self, weights: Weights, layer: int) -> Any:
        """Return the up-projection's matrix, (d_mlp, d_model)."""

    def mlp_out(self, weights: Weights, layer: int) -> Any:
        """Return the down-projection's matrix, (d_model, d_mlp)."""


class GatedFamily(Family, Protocol):
    """A family whose MLPs multiply the up-projection by a gate."""

    def mlp_gate_module(self, layer: int) -> str:
        """Return the gate's projection; its output, before the nonlinearity, is the activation."""

    def mlp_gate(self, weights: Weights, layer: int) -> Any:
        """Return the gate's matrix, (d_mlp, d_model)."""


class PublishedFamily(Family, Protocol):
    """A family to whose weights the published code can be applied."""

    def published_attention(self, weights: Weights, config: Config, layer: int) -> Attention:
        """Return the maps as the published code splits them; shapes as those of `attention`."""


def family(model_type: str) -> Family:
    """Return the family of a `model_type`; raise ValueError with the known ones if unknown."""
    module = plugins.load("tending.families", model_type, "model family")
    return cast(Family, getattr(module, "FAMILY", module))


def attention_aside(kind: Family, config: Config, layer: int) -> str | None:
    """Return the attention module that runs in parallel with its block's MLP; None if in sequence.

    A family in which they may be parallel declares it by `attention_aside(config, layer)`.
    """
    aside = getattr(kind, "attention_aside", None)
    return None if aside is None else cast(str | None, aside(config, layer))


def gated(kind: Family) -> GatedFamily | None:
    """Return the family as one with gated MLPs; None if they have no gate."""
    return cast(GatedFamily, kind) if hasattr(kind, "mlp_gate_module") else None


def tied(kind: Family, config: Config) -> bool:
    """Whether the output head's matrix is the embedding's."""
    return bool(config.get("tie_word_embeddings", kind.TIED))


def unembedding(kind: Family, weights: Weights, config: Config) -> Any:
    """Return the output head's matrix, (vocabulary, width); a tied one is the embedding's.

    Raises ValueError if the files hold the base model alone and the head is not tied.
    """
    names = [kind.EMBEDDING] if tied(kind, config) else [f"{head}weight" for head in kind.HEADS]
    for name in names:
        if name in weights:
            return weights[name]
    raise ValueError(
        f"the checkpoint has no output head ({' or '.join(names)}): its files hold the base model "
        f"alone; remove `unembedding` from `components` or the model from the study"
    )


def published_family(model_type: str) -> PublishedFamily:
    """Return the family with its published definition; raise ValueError if it has none."""
    kind = family(model_type)
    if not hasattr(kind, "published_attention"):
        raise ValueError(
            f"the published definition splits a fused query_key_value matrix, which {model_type} "
            f"does not have; remove `published` from `definitions` or the model from the study"
        )
    return cast(PublishedFamily, kind)
