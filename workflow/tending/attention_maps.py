"""A layer's value and output maps, applied to what the value projection is given."""

import torch
from torch import Tensor

from tending.families import Attention


class AttentionMaps:
    """The OV circuit of one layer as applied to the probed token, not attention-weighted."""

    def __init__(self, attention: Attention) -> None:
        self.value = attention.value.float()
        self.bias = None if attention.value_bias is None else attention.value_bias.float()
        self.output = attention.output.float()
        self.clip, self.rms_eps = attention.clip, attention.rms_eps
        # activations times R' have the same Gram matrix as activations times W_O'
        r = torch.linalg.qr(self.output.double(), mode="r").R
        self.gram_root = r.float()

    def values(self, x: Tensor) -> Tensor:
        """W_V^h LN(x) + b_V^h, clipped and normed: (rows, d_model) -> (heads, rows, d_head)."""
        values = torch.einsum("nd,hkd->hnk", x.float(), self.value)
        if self.bias is not None:
            values = values + self.bias[:, None]
        if self.clip is not None:
            values = values.clamp(-self.clip, self.clip)
        if self.rms_eps is not None:
            values = values * torch.rsqrt(values.square().mean(-1, keepdim=True) + self.rms_eps)
        return values

    def heads(self, x: Tensor) -> Tensor:
        """Each head's term in its own coordinates, (heads, rows, d_head)."""
        return torch.einsum("hnk,hjk->hnj", self.values(x), self.gram_root)

    def whole(self, x: Tensor) -> Tensor:
        """The sum over heads, (rows, d_model)."""
        return torch.einsum("hnk,hdk->nd", self.values(x), self.output)
