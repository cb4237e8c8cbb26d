"""Features of all encoders side by side, without a parameter."""

from collections.abc import Mapping

import torch
from torch import Tensor

from blended.fusion.network import Batch, FusionModule, Outputs


class Concatenation(FusionModule):
    """[clip, sum of widths]; a missing modality is zeros, which is the mean of standardised features."""

    def __init__(self, widths: Mapping[str, int], modality_of: Mapping[str, int]) -> None:
        super().__init__(sum(widths.values()), len(set(modality_of.values())))
        self.modality_of = dict(modality_of)

    def forward(self, batch: Batch, uniform: Tensor | None = None) -> Outputs:
        """`z`, in the order of the encoders."""
        present = batch["present"]
        parts = [batch[name] * present[..., k : k + 1] for name, k in self.modality_of.items()]
        return {"z": torch.cat(parts, dim=-1)}
