"""Weights that are their own positions, so that a wrong cut is seen."""

import numpy as np


def ov_by_hand(heads: int, d_head: int) -> tuple[np.ndarray, np.ndarray]:
    d = heads * d_head
    fused = np.arange(3 * d * d, dtype=np.float32).reshape(3 * d, d)
    dense = np.arange(d * d, dtype=np.float32).reshape(d, d)
    return fused, dense


def gpt_neox_arange() -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """A layer of 2 heads, d_head 2, d_model 4, whose every weight is its own position."""
    fused, dense = ov_by_hand(heads=2, d_head=2)
    block = "layers.0.attention"
    weights = {
        f"{block}.query_key_value.weight": fused,
        f"{block}.query_key_value.bias": np.arange(12, dtype=np.float32),
        f"{block}.dense.weight": dense,
        f"{block}.dense.bias": np.arange(4, dtype=np.float32),
    }
    config = {
        "hidden_size": 4,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "vocab_size": 5,
        "max_position_embeddings": 8,
        "intermediate_size": 16,
    }
    return weights, config
