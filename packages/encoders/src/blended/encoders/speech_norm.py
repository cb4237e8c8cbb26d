"""The group norm of the base speech networks, for batches of clips of different lengths.

B batch, C channel, T time step.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class MaskedGroupNorm(nn.Module):
    """One group per channel, with mean and variance over the time steps that are no padding.

    torch's own norm would count the padding, so that the features of a clip would depend on the longest one
    of its batch. Parameters have the names and values of the norm that it replaces.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        """Raises ValueError for a norm with several channels per group."""
        super().__init__()
        if norm.num_groups != norm.num_channels:
            raise ValueError(f"{norm.num_groups} groups of {norm.num_channels} channels: expected one each")
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.num_groups = norm.num_groups
        self.num_steps: Sequence[int] = ()
        """Valid time steps of every clip of the batch to come; empty for all."""

    def forward(self, x_BCT: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch channel time"]:
        """The normalised batch; what is padding stays finite and means nothing."""
        length = x_BCT.shape[-1]
        if all(count == length for count in self.num_steps):
            return functional.group_norm(x_BCT, self.num_groups, self.weight, self.bias, self.eps)
        counts_B11 = torch.tensor(self.num_steps, device=x_BCT.device)[:, None, None]
        valid_B1T = torch.arange(length, device=x_BCT.device) < counts_B11
        wide_BCT = x_BCT.float()
        mean_BC1 = (wide_BCT * valid_B1T).sum(dim=-1, keepdim=True) / counts_B11
        centred_BCT = wide_BCT - mean_BC1
        variance_BC1 = (centred_BCT.square() * valid_B1T).sum(dim=-1, keepdim=True) / counts_B11
        scale_BC1 = self.weight[:, None] * (variance_BC1 + self.eps).rsqrt()
        return (centred_BCT * scale_BC1 + self.bias[:, None]).to(x_BCT.dtype)
