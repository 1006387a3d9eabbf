"""Model families, one file each, named as the checkpoint's `model_type`.

A family file says which weights are which and in what layout; it holds no mathematics. It has
the names of `Family` at its top level, and those of `PublishedFamily` if the code of
arXiv 2410.11451 means something for its layout. Arrays may be NumPy's or torch's: only slicing and
reshaping is used. Options that a config.json does not name have the values that transformers'
config class gives them; sizes it must name. Files with a leading underscore hold what several
families share and are no families.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from tending import found

Config = Mapping[str, Any]
Weights = Mapping[str, Any]


@dataclass(frozen=True)
class Architecture:
    """Sizes of a model, and what its head does with the logits.

    d_head is one head's width, context the longest sequence in tokens. With a logit_cap c the
    head's logits x become c tanh(x / c).
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
    value_heads: how many value maps differ, where neighbouring heads share one; None for all.
    What else lies between the two maps: with a clip c, values are cut off at -c and c; then, with
    an rms_eps e, each head's value v is divided by sqrt(mean(v^2) + e).
    """

    value: Any
    value_bias: Any | None
    output: Any
    output_bias: Any | None
    value_heads: int | None = None
    clip: float | None = None
    rms_eps: float | None = None


class Family(Protocol):
    """What a family file defines. Weight and module names are relative to the base model."""

    PREFIX: str  # of the base model's weights in a causal-LM checkpoint, e.g. "gpt_neox."
    HEADS: tuple[str, ...]  # of the output head's weights there, e.g. ("lm_head.",)
    TIED: bool  # whether the head's matrix is the embedding's where config.json does not say

    def architecture(self, config: Config) -> Architecture:
        """Sizes from the checkpoint's config.json.

        Raises ValueError, with the setting and the remedy, for a model that the family's maps do
        not describe.
        """

    def shapes(self, config: Config) -> dict[str, tuple[int, ...]]:
        """Shape of every weight that a checkpoint with this config must hold."""

    def value_module(self, layer: int) -> str:
        """The module that holds W_V; its input, whatever the model gives it, is LN(x)."""

    def mlp_out_module(self, layer: int) -> str:
        """The MLP's down-projection; its output is the `mlp_out` activation."""

    def attention(self, weights: Weights, config: Config, layer: int) -> Attention:
        """Value and output maps of `layer`, split into heads."""

    def mlp_out(self, weights: Weights, layer: int) -> Any:
        """The down-projection's matrix, (d_model, d_mlp)."""


class PublishedFamily(Family, Protocol):
    """A family whose weights the published code can be applied to."""

    def published_attention(self, weights: Weights, config: Config, layer: int) -> Attention:
        """The maps as the published code cuts them; shapes as those of `attention`."""


def family(model_type: str) -> Family:
    """The family of a checkpoint's `model_type`; ValueError with the known ones otherwise."""
    return cast(Family, found.load("tending.families", model_type, "model family"))


def published_family(model_type: str) -> PublishedFamily:
    """The same with the published code's cut; ValueError if it has none."""
    kind = family(model_type)
    if not hasattr(kind, "published_attention"):
        raise ValueError(
            f"the published definition cuts a fused query_key_value matrix, which {model_type} "
            f"does not have; remove `published` from `definitions` or the model from the study"
        )
    return cast(PublishedFamily, kind)
