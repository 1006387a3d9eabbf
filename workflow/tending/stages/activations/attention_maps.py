"""A layer's value and output maps, applied to the input of the value projection."""

import numpy as np
import torch
from torch import Tensor

from tending.families import Attention
from tending.metrics.algebra.singular_values import triangles


class AttentionMaps:
    """The OV circuit of one layer as applied to the probed token, not attention-weighted."""

    def __init__(self, attention: Attention) -> None:
        self._value = attention.value.float()
        self._bias = None if attention.value_bias is None else attention.value_bias.float()
        self._clip, self._rms_eps = attention.clip, attention.rms_eps
        output = attention.output.float()
        # side by side, (d_model, heads * d_head): a view of W_O as models store it
        self._outputs = output.transpose(0, 1).flatten(1)
        # activations times R' have the same Gram matrix as activations times W_O'
        r = triangles(output.cpu().numpy()).astype(np.float32)
        self._gram_root = torch.from_numpy(r).to(output.device)

    def values(self, x: Tensor) -> Tensor:
        """Compute W_V^h LN(x) + b_V^h, clipped and normed, from LN(x).

        (rows, d_model) -> (heads, rows, d_head).
        """
        # batched over heads, so that the fused projection's weights are not copied
        shared = x.float().expand(len(self._value), *x.shape)
        values = torch.bmm(shared, self._value.transpose(1, 2))
        if self._bias is not None:
            values = values + self._bias[:, None]
        if self._clip is not None:
            values = values.clamp(-self._clip, self._clip)
        if self._rms_eps is not None:
            values = values * torch.rsqrt(values.square().mean(-1, keepdim=True) + self._rms_eps)
        return values

    def heads(self, values: Tensor) -> Tensor:
        """Compute each head's term in its own coordinates, (heads, rows, d_head)."""
        return torch.bmm(values, self._gram_root.transpose(1, 2))

    def whole(self, values: Tensor) -> Tensor:
        """Compute the sum over heads, (rows, d_model)."""
        return torch.mm(values.transpose(0, 1).flatten(1), self._outputs.t())
