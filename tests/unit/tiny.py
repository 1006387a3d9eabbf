"""Tiny models of every family with random weights and biases, for tests.

A new family needs one entry in CONFIGS: its config class's keyword arguments, with at least two
layers, two heads, and a vocabulary of 50 tokens. Options that change its maps or its weights have
an entry in VARIANTS; a variant's name starts with its family's.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from tending import families
from tending.core import plugins

FAMILIES = plugins.names("tending.families")

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
GATED = {**SIZES, "intermediate_size": 20, "num_key_value_heads": 2, "tie_word_embeddings": False}
TIED = {**GATED, "tie_word_embeddings": True}

CONFIGS: dict[str, dict[str, Any]] = {
    "gpt_neox": {**SIZES, "intermediate_size": 40, "tie_word_embeddings": False},
    "llama": GATED,
    "mistral": GATED,
    "qwen2": GATED,
    "qwen3": {**GATED, "head_dim": 6},
    "olmo": {**GATED, "clip_qkv": 0.3},
    "olmo2": GATED,
    "smollm3": TIED,
    "gemma": {**TIED, "head_dim": 6},
    "gemma2": {**TIED, "head_dim": 6, "final_logit_softcapping": 1.5},
    "gemma3_text": {**TIED, "head_dim": 6},
    "gemma4_text": {
        **TIED,
        "head_dim": 6,
        "global_head_dim": 6,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        "hidden_size_per_layer_input": 0,
    },
    "gpt2": {
        "vocab_size": 50,
        "n_embd": 16,
        "n_layer": 3,
        "n_head": 4,
        "n_positions": 32,
        "bos_token_id": None,
        "eos_token_id": None,
    },
    "opt": {**SIZES, "ffn_dim": 40},
    "bloom": {
        "vocab_size": 50,
        "hidden_size": 16,
        "n_layer": 3,
        "n_head": 4,
        "bos_token_id": None,
        "eos_token_id": None,
    },
    "phi": {**SIZES, "intermediate_size": 40},
}

VARIANTS: dict[str, dict[str, Any]] = {
    "gpt_neox tied": {"tie_word_embeddings": True},
    "gpt_neox no biases": {"attention_bias": False},
    "llama biases": {"attention_bias": True, "mlp_bias": True, "head_dim": 6},
    "llama one head each": {"num_key_value_heads": 4, "tie_word_embeddings": True},
    "mistral wide heads": {"head_dim": 6, "num_key_value_heads": 1},
    "qwen2 tied": {"tie_word_embeddings": True},
    "qwen3 biases": {"attention_bias": True, "num_key_value_heads": 4},
    "olmo biases": {"attention_bias": True, "clip_qkv": None},
    "olmo2 biases": {"attention_bias": True, "num_key_value_heads": 4},
    "smollm3 biases": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False},
    "gemma biases": {"attention_bias": True, "num_key_value_heads": 1},
    "gemma2 biases": {"attention_bias": True, "final_logit_softcapping": None},
    "gemma3_text capped": {"final_logit_softcapping": 1.5, "attention_bias": True},
    "gemma4_text inputs per layer": {
        "hidden_size_per_layer_input": 4,
        "vocab_size_per_layer_input": 50,
        "attention_bias": True,
    },
    "gpt2 inner": {"n_inner": 24, "tie_word_embeddings": False},
    "opt post-norm": {"word_embed_proj_dim": 8, "do_layer_norm_before": False},
    "opt plain": {
        "enable_bias": False,
        "layer_norm_elementwise_affine": False,
        "tie_word_embeddings": False,
    },
    "opt old": {"_remove_final_layer_norm": True},
    "bloom residual": {"apply_residual_connection_post_layernorm": True},
    "bloom untied": {"pretraining_tp": 2, "tie_word_embeddings": False},
    "phi norms": {"qk_layernorm": True, "num_key_value_heads": 2},
    "phi tied": {"tie_word_embeddings": True},
}

MODELS = [*FAMILIES, *VARIANTS]


def config(name: str, **changes: Any) -> Any:
    """The tiny config of a family or variant; a family without one fails the test that asks."""
    family = name.split()[0]
    assert family in CONFIGS, (
        f"tending.families.{family} has no tiny config: add {family!r} to CONFIGS in {__file__}, "
        f"and every law of a family is tested on it"
    )
    return AutoConfig.for_model(family, **{**CONFIGS[family], **VARIANTS.get(name, {}), **changes})


def model(name: str, seed: int = 0, scale: float = 0.2, **changes: Any) -> Any:
    """A causal language model whose every parameter is random, biases and norms included."""
    built = AutoModelForCausalLM.from_config(config(name, **changes)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter_name, parameter in built.named_parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
            is_norm = "norm" in parameter_name or ".ln_" in parameter_name
            if is_norm and parameter_name.endswith("weight"):
                parameter.add_(1.0)
    return built


def kind(built: Any) -> families.Family:
    """The family of a model."""
    return families.family(built.config.model_type)


def tokens(sequences: int, length: int, seed: int = 1) -> npt.NDArray[np.int32]:
    """Random tokens of the tiny vocabulary, (sequences, length)."""
    drawn = np.random.default_rng(seed).integers(0, 50, size=(sequences, length))
    return drawn.astype(np.int32)


def save(built: Any, folder: Path, **options: Any) -> Path:
    """Write a model as save_pretrained does, whole or in shards (max_shard_size=...)."""
    logging.disable_progress_bar()
    built.save_pretrained(folder, **options)
    return folder
