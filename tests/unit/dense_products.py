"""Products of heads as dense float64 matrices."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tending.families import Attention

Matrix = npt.NDArray[np.floating[Any]]


def dense_heads(attention: Attention) -> list[Matrix]:
    pairs = zip(attention.output, attention.value, strict=True)
    return [o.astype(np.float64) @ v.astype(np.float64) for o, v in pairs]
