"""Biases of keys that training leaves free, because the softmax cancels them.

A number added to all scores of a query leaves its softmax as it is, and that is all that a bias of
a key adds, unless keys are rotated by their position before the product. So the loss does not
depend on such a bias and its gradient is zero; what is computed is rounding. Adam divides by the
size of the gradient, which makes steps of full length out of it: after training these biases are
noise that differs between instruction sets and numbers of threads, in sign too.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
FAMILIES = ("gpt_neox", "gpt2", "opt", "bloom", "phi")  # of which some keys' biases are free


def rotated(config: Any) -> int:
    """Leading dimensions of a head that rotary positions turn, in pairs."""
    d_head = config.hidden_size // config.num_attention_heads
    return 2 * math.ceil(int(d_head * config.rope_parameters["partial_rotary_factor"]) / 2)


def free(config: Any, name: str, size: int) -> Mask:
    """Which entries of the parameter `name`, of `size` entries, are such biases, (size,)."""
    heads, model_type = config.num_attention_heads, config.model_type
    mask = np.zeros(size, bool)
    if model_type in ("gpt_neox", "bloom") and name.endswith("query_key_value.bias"):
        begin = rotated(config) if model_type == "gpt_neox" else 0
        mask.reshape(heads, 3, -1)[:, 1, begin:] = True  # [head, (q, k, v), d_head]
    elif model_type == "gpt2" and name.endswith("c_attn.bias"):
        mask.reshape(3, -1)[1] = True  # [q | k | v]
    elif model_type == "opt" and name.endswith("k_proj.bias"):
        mask[:] = True
    elif model_type == "phi" and name.endswith("k_proj.bias"):
        mask.reshape(config.num_key_value_heads, -1)[:, rotated(config) :] = True
    return mask
