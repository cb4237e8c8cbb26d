"""A gate that weighs encoders clip by clip and keeps the strongest.

B clips, K encoders, W width.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from blended.fusion.network import Batch, FusionModule, Outputs, dropped


class Gated(FusionModule):
    """Every encoder becomes a vector of one width; their weighted sum is the clip's.

    Weights are a softmax over what a linear layer says of all vectors, set to 0 beyond the `top` largest and
    for encoders that the clip lacks, and scaled to add up to 1 (top-k gating, arXiv 1701.06538).
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        modality_of: Mapping[str, int],
        width: int,
        top: int | None,
        dropout: float,
    ) -> None:
        super().__init__(width, len(set(modality_of.values())), sum(widths.values()) if dropout else 0)
        self.modality_of, self.widths = dict(modality_of), dict(widths)
        self.top = min(top or len(widths), len(widths))
        self.dropout = dropout
        self.project = nn.ModuleList(nn.Linear(dim, width) for dim in widths.values())
        self.gate = nn.Linear(width * len(widths), len(widths))

    def forward(self, batch: Batch, uniform: Tensor | None = None) -> Outputs:
        """`z`, and `gates` [clip, encoder]."""
        vectors: list[Tensor] = []
        at = 0
        for project, (name, dim) in zip(self.project, self.widths.items(), strict=True):
            drawn = None if uniform is None else uniform[..., at : at + dim]
            vectors.append(project(dropped(batch[name], drawn, self.dropout)))
            at += dim
        present_BK = torch.stack(
            [batch["present"][..., k] & batch[f"{name}.present"] for name, k in self.modality_of.items()],
            dim=-1,
        )
        stacked_BKW = torch.stack(vectors, dim=-2) * present_BK.unsqueeze(-1)
        scores_BK = self.gate(stacked_BKW.flatten(-2)).masked_fill(~present_BK, -1e4)
        if self.top < scores_BK.shape[-1]:
            weakest = scores_BK.topk(self.top, dim=-1).values[..., -1:]
            scores_BK = scores_BK.masked_fill(scores_BK < weakest, -1e4)
        gates_BK = scores_BK.softmax(dim=-1)
        return {"z": (gates_BK.unsqueeze(-1) * stacked_BKW).sum(dim=-2), "gates": gates_BK}
