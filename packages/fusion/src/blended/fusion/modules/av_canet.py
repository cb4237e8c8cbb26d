"""The two-stage module of AV-CANet (eMotions, arXiv 2508.06902): a local pyramid, then global attention.

B clips, T steps, W width, V levels of the pyramid.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from blended.fusion.modules.attention import Attention
from blended.fusion.modules.streams import StreamShape, between, embedded, make_streams, mean_over_time
from blended.fusion.network import Batch, FusionModule, Outputs


class LocalLevel(nn.Module):
    """One level of the pyramid: attention within a band of 2^level steps to either side.

    Each stream attends to itself (s) and, through one shared attention, to the other (c). The two are gated,
    `sigmoid(W1[s;c]) * s + sigmoid(W2[s;c]) * c`, and go through a residual convolution over three steps that
    are 2^level apart.
    """

    def __init__(self, names: tuple[str, ...], width: int, num_heads: int, level: int) -> None:
        super().__init__()
        self.reach = 2**level
        self.own = nn.ModuleDict({name: Attention(width, num_heads) for name in names})
        self.shared = Attention(width, num_heads)
        self.gates = nn.ModuleDict({name: nn.Linear(2 * width, 2 * width) for name in names})
        self.convolve = nn.ModuleDict(
            {name: nn.Conv1d(width, width, 3, padding=self.reach, dilation=self.reach) for name in names}
        )

    def forward(
        self,
        tokens: Mapping[str, Float[Tensor, "B _ W"]],
        valid: Mapping[str, Bool[Tensor, "B _"]],
        seconds: Mapping[str, Float[Tensor, "_"]],
        step_seconds: float,
    ) -> dict[str, Float[Tensor, "B _ W"]]:
        """Both streams after the level."""
        after: dict[str, Tensor] = {}
        for name, other in zip(tokens, reversed([*tokens]), strict=True):
            x, y = tokens[name], tokens[other]
            near = band(seconds[name], seconds[name], self.reach * step_seconds)
            s = self.own[name](x, x, valid[name], near)
            c = self.shared(
                x, y, valid[other], band(seconds[name], seconds[other], self.reach * step_seconds)
            )
            open_s, open_c = self.gates[name](torch.cat([s, c], dim=-1)).sigmoid().chunk(2, dim=-1)
            mixed = (open_s * s + open_c * c) * valid[name].unsqueeze(-1)
            convolved = self.convolve[name](mixed.transpose(-1, -2)).transpose(-1, -2)
            after[name] = x + mixed + functional.gelu(convolved)
        return after


class AVCANet(FusionModule):
    """Local levels one after the other, combined per time step; then each stream attends to the whole other.

    Levels are combined with weights that a step's tokens of the level ask of those of all levels. Stage 2:
    `A' = Linear(attention(A, V, V)) + A` and likewise V', mean over time, side by side.
    """

    def __init__(
        self,
        shapes: Mapping[str, StreamShape],
        width: int,
        num_heads: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        streams = make_streams(shapes, width, dropout)
        super().__init__(2 * width, len(shapes), streams.noise_width)
        names = tuple(shapes)
        self.streams = streams
        self.step_seconds = 1 / min(shape.rate_hz for shape in shapes.values())
        self.levels = nn.ModuleList(
            LocalLevel(names, width, num_heads, level) for level in range(num_layers + 1)
        )
        self.weigh = nn.ModuleDict({name: nn.Linear(2 * width, 1) for name in names})
        self.whole = nn.ModuleDict({name: Attention(width, num_heads) for name in names})
        self.last = nn.ModuleDict({name: nn.Linear(width, width) for name in names})
        self.attentions = {
            f"whole.{name}": between(shapes, name, other)
            for name, other in zip(names, reversed(names), strict=True)
        }

    def forward(self, batch: Batch, uniform: Tensor | None = None) -> Outputs:
        """`z`: the mean over time of both streams; `parts`: each of them."""
        tokens, valid, seconds = embedded(self.streams, batch, uniform)
        pyramid: list[Mapping[str, Tensor]] = []
        for level in self.levels:
            tokens = level(tokens, valid, seconds, self.step_seconds)
            pyramid.append(tokens)
        combined = {name: self._combined(name, pyramid) for name in tokens}
        pooled: list[Tensor] = []
        for name, other in zip(combined, reversed([*combined]), strict=True):
            answer = self.whole[name](combined[name], combined[other], valid[other])
            pooled.append(mean_over_time(self.last[name](answer) + combined[name], valid[name]))
        return {"z": torch.cat(pooled, dim=-1), "parts": torch.stack(pooled)}

    def _combined(self, name: str, pyramid: list[Mapping[str, Tensor]]) -> Float[Tensor, "B T W"]:
        levels_VBTW = torch.stack([level[name] for level in pyramid])
        mean = levels_VBTW.mean(dim=0, keepdim=True).expand_as(levels_VBTW)
        weights_VBT1 = self.weigh[name](torch.cat([levels_VBTW, mean], dim=-1)).softmax(dim=0)
        return (weights_VBT1 * levels_VBTW).sum(dim=0)


def band(
    asking_Q: Float[Tensor, "Q"], answering_S: Float[Tensor, "S"], reach_seconds: float
) -> Float[Tensor, "1 Q S"]:
    """0 for steps within reach of each other, minus infinity for others."""
    far = (asking_Q.unsqueeze(1) - answering_S.unsqueeze(0)).abs() > reach_seconds + 1e-6
    return torch.zeros_like(far, dtype=torch.float32).masked_fill(far, float("-inf")).unsqueeze(0)
