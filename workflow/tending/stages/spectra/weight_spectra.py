"""Singular values of a checkpoint's weights, directly from its tensors."""

from collections.abc import Iterable, Mapping

import numpy as np

from tending import components as parts
from tending.components._weights import ModelWeights, Shape, circuit_spectrum, head_spectra
from tending.core.aliases import Config
from tending.families import Family, PublishedFamily, Weights
from tending.metrics.algebra.singular_values import Spectrum

PUBLISHED = ("attention_ov", "mlp_out")  # components that the published code computed


def weight_spectra(
    family: Family,
    weights: Weights,
    config: Config,
    components: Iterable[str] = parts.DEFAULT,
    tokens: int | None = None,
) -> dict[str, Spectrum]:
    """Compute singular values of the named components, descending, by dataset name.

    (layers, values) for whole layers; `NAME_heads` (layers, heads, values); (values,) for a
    component that the model has once. tokens: number of tokens, that is, of rows of embeddings
    that are used. Zeros are included: W_O W_V has some where heads share values.
    """
    return component_spectra(ModelWeights(family, weights, config, tokens), components)[0]


def component_spectra(
    source: ModelWeights, components: Iterable[str]
) -> tuple[dict[str, Spectrum], dict[str, Shape]]:
    """Compute the same, and shapes by dataset for components that are one stored matrix each."""
    layers = source.kind.architecture(source.config).layers
    found: dict[str, Spectrum] = {}
    shapes: dict[str, Shape] = {}
    for name in components:
        part, compute = parts.component(name), parts.weighing(name).spectra
        made = [compute(source, i) for i in range(layers if part.layers else 1)]
        heads = [layer.heads for layer in made if layer.heads is not None]
        wholes = [layer.whole for layer in made if layer.whole is not None]
        for dataset, values in ((f"{name}{parts.HEADS}", heads), (name, wholes)):
            if values:
                found[dataset] = np.stack(values) if part.layers else values[0]
        if (shape := made[0].shape) is not None:
            shapes[name] = shape
    return found, shapes


def published_spectra(
    family: PublishedFamily, weights: Weights, config: Config, correct: Mapping[str, Spectrum]
) -> dict[str, Spectrum]:
    """Compute the components of `correct` as the code of arXiv 2410.11451 did.

    Value matrices are split as in that code, and only the d_head largest singular values of whole
    layers are kept: `attention_ov_heads` (layers, heads, d_head), `attention_ov` and `mlp_out`
    (layers, d_head). correct: result of `weight_spectra`, whose `mlp_out` is truncated. Components
    that the paper does not have are left out.
    """
    sizes = family.architecture(config)
    found: dict[str, Spectrum] = {}
    if "attention_ov" in correct:
        cut = [family.published_attention(weights, config, i) for i in range(sizes.layers)]
        whole = [largest(circuit_spectrum(attention), sizes.d_head) for attention in cut]
        found["attention_ov_heads"] = np.stack([head_spectra(attention) for attention in cut])
        found["attention_ov"] = np.stack(whole)
    if "mlp_out" in correct:
        found["mlp_out"] = largest(correct["mlp_out"], sizes.d_head)
    return found


def largest(spectrum: Spectrum, count: int) -> Spectrum:
    """Truncate descending singular values, (..., k), to the `count` largest, as published."""
    return spectrum[..., :count]
