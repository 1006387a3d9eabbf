"""Tiny models of every family with random weights and biases, for tests.

A new family needs one entry in CONFIGS: its config class's keyword arguments, with at least two
layers, two heads, and a vocabulary of 50 tokens.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tending import found

FAMILIES = found.names("tending.families")

CONFIGS: dict[str, dict[str, Any]] = {
    "gpt_neox": {
        "vocab_size": 50,
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 40,
        "max_position_embeddings": 32,
        "tie_word_embeddings": False,
    },
}


def config(family: str, **changes: Any) -> Any:
    """The tiny config of a family; a family without one fails the test that asks."""
    assert family in CONFIGS, (
        f"tending.families.{family} has no tiny config: add {family!r} to CONFIGS in {__file__}, "
        f"and every law of a family is tested on it"
    )
    return AutoConfig.for_model(family, **{**CONFIGS[family], **changes})


def model(family: str, seed: int = 0, scale: float = 0.2, **changes: Any) -> Any:
    """A causal language model whose every parameter is random, biases and norms included."""
    built = AutoModelForCausalLM.from_config(config(family, **changes)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1.0)
    return built


def tokens(sequences: int, length: int, seed: int = 1) -> npt.NDArray[np.int32]:
    """Random tokens of the tiny vocabulary, (sequences, length)."""
    drawn = np.random.default_rng(seed).integers(0, 50, size=(sequences, length))
    return drawn.astype(np.int32)


def save(built: Any, folder: Path, **options: Any) -> Path:
    """Write a model as save_pretrained does, whole or in shards (max_shard_size=...)."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    built.save_pretrained(folder, **options)
    return folder
