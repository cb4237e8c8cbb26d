"""Every step of time by itself, without a parameter.

B clips, T steps, W width.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from blended.fusion.modules.streams import StreamShape
from blended.fusion.network import Batch, FusionModule, Outputs


class Steps(FusionModule):
    """The features of all streams side by side, step by step; a missing modality is zeros."""

    def __init__(self, shapes: Mapping[str, StreamShape]) -> None:
        super().__init__(sum(shape.dim for shape in shapes.values()), len(shapes))
        self.names = tuple(shapes)

    def forward(self, batch: Batch, uniform: Tensor | None = None) -> Outputs:
        """`z` [clip, step, width] and `valid` [clip, step]."""
        num_steps = max(batch[name].shape[-2] for name in self.names)
        parts: list[Tensor] = []
        valid: list[Tensor] = []
        for place, name in enumerate(self.names):
            short = num_steps - batch[name].shape[-2]
            there = batch[f"{name}.valid"] & batch["present"][..., place : place + 1]
            parts.append(torch.nn.functional.pad(batch[name] * there.unsqueeze(-1), (0, 0, 0, short)))
            valid.append(torch.nn.functional.pad(there, (0, short)))
        return {"z": torch.cat(parts, dim=-1), "valid": torch.stack(valid).any(dim=0)}
