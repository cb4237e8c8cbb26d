"""Published ways in which two streams attend to each other: M2FNet, AV-CANet and JMT.

B clips, T and S steps of the asking and of the other stream, Q queries, V levels, W width.
"""

import math
from collections.abc import Mapping
from itertools import permutations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from blended.fusion.modules.attention import FeedForward, MaskedAttention
from blended.fusion.modules.streams import (
    StreamShape,
    between,
    embedded,
    make_streams,
    mean_and_spread,
    mean_over_time,
    times,
)
from blended.fusion.network import Batch, Between, FusionModule, Outputs

STRONGER = "video"
"""The stream that is kept, after the paper: `take the stronger modality as A`."""


class M2FNetFusion(FusionModule):
    """Per layer: attention(query = A, key = B, value = A) beside A, then linear; the result is the new A.

    Keys and values must be of the same steps, so B is read at the times of A.
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
        super().__init__(4 * width, len(shapes), streams.noise_width)
        self.streams = streams
        self.rates = {name: shape.rate_hz for name, shape in shapes.items()}
        self.attend = nn.ModuleList(MaskedAttention(width, num_heads) for _ in range(num_layers))
        self.merge = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(num_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(num_layers))
        self.project = nn.ModuleDict({name: nn.Linear(2 * width, width) for name in shapes})
        weaker, rate_hz = next(name for name in shapes if name != STRONGER), shapes[STRONGER].rate_hz
        place = [*shapes].index(STRONGER)
        self.attentions = {
            f"attend.{number}": Between(STRONGER, weaker, place, rate_hz, rate_hz, number + 1)
            for number in range(num_layers)
        }

    def forward(self, batch: Batch, uniform: Tensor | None = None) -> Outputs:
        """`z`: mean and spread over time of the fused and of the other stream."""
        tokens, valid, seconds = embedded(self.streams, batch, uniform)
        weaker = next(name for name in tokens if name != STRONGER)
        keys, keys_valid = at_times(tokens[weaker], valid[weaker], self.rates[weaker], seconds[STRONGER])
        x = tokens[STRONGER]
        # Values are A's: where A has ended there is nothing to take, however long B and the batch are.
        keys_valid = keys_valid & valid[STRONGER]
        for attend, merge, norm in zip(self.attend, self.merge, self.norms, strict=True):
            answer = attend(x, keys, keys_valid, values_BSW=x)
            x = norm(merge(torch.cat([answer, x], dim=-1)))
        fused = mean_and_spread(x, valid[STRONGER])
        other = mean_and_spread(tokens[weaker], valid[weaker])
        pooled = {STRONGER: fused, weaker: other}
        parts = torch.stack([self.project[name](pooled[name]) for name in tokens])
        return {"z": torch.cat([fused, other], dim=-1), "parts": parts}


def at_times(
    x_BSW: Float[Tensor, "B S W"],
    valid_BS: Bool[Tensor, "B S"],
    rate_hz: float,
    seconds_T: Float[Tensor, "T"],
) -> tuple[Float[Tensor, "B T W"], Bool[Tensor, "B T"]]:
    """The steps of a stream that are under way at some times; none where it has ended."""
    places_T = (seconds_T * rate_hz).long()
    inside_T = places_T < x_BSW.shape[-2]
    places_T = places_T.clamp(max=x_BSW.shape[-2] - 1)
    return x_BSW[..., places_T, :], valid_BS[..., places_T] & inside_T


class LocalLevel(nn.Module):
    """One level of the pyramid: attention within a band of 2^level steps to either side.

    Each stream attends to itself (s) and, through one shared attention, to the other (c). The two are gated,
    `sigmoid(W1[s;c]) * s + sigmoid(W2[s;c]) * c`, and go through a residual convolution over three steps that
    are 2^level apart.
    """

    def __init__(self, names: tuple[str, ...], width: int, num_heads: int, level: int) -> None:
        super().__init__()
        self.reach = 2**level
        self.own = nn.ModuleDict({name: MaskedAttention(width, num_heads) for name in names})
        self.shared = MaskedAttention(width, num_heads)
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
        self.whole = nn.ModuleDict({name: MaskedAttention(width, num_heads) for name in names})
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


JOINT = "joint"


class JointStream(FusionModule):
    """The joint stream is both side by side at the times of the first, through one layer.

    Each ordered pair of streams attends; what the six say, pooled, is a sequence of six that attends to
    itself and is averaged.
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
        super().__init__(7 * width, len(shapes), streams.noise_width)
        self.streams = streams
        self.rates = {name: shape.rate_hz for name, shape in shapes.items()}
        self.join = nn.Linear(2 * width, width)
        self.pairs = [*permutations((*shapes, JOINT), 2)]
        self.attend = nn.ModuleList(MaskedAttention(width, num_heads) for _ in self.pairs)
        self.summarise = nn.ModuleList(nn.Linear(2 * width, width) for _ in self.pairs)
        self.encoder = nn.ModuleList(MaskedAttention(width, num_heads) for _ in range(num_layers))
        self.feed_forward = nn.ModuleList(FeedForward(width) for _ in range(num_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(num_layers))
        self.project = nn.ModuleDict({name: nn.Linear(2 * width, width) for name in shapes})
        self.attentions = {
            f"attend.{number}": between(shapes, *pair)
            for number, pair in enumerate(self.pairs)
            if JOINT not in pair
        }

    def forward(self, batch: Batch, uniform: Tensor | None = None) -> Outputs:
        """`z`: the mean of the six summaries after attention, then the six as they were."""
        tokens, valid, _ = embedded(self.streams, batch, uniform)
        pooled = {name: mean_and_spread(x, valid[name]) for name, x in tokens.items()}
        tokens[JOINT], valid[JOINT] = self._joined(tokens, valid)
        summaries = torch.stack(
            [
                summarise(mean_and_spread(attend(tokens[a], tokens[b], valid[b]), valid[a]))
                for (a, b), attend, summarise in zip(self.pairs, self.attend, self.summarise, strict=True)
            ],
            dim=-2,
        )
        x = summaries
        everywhere = torch.ones(x.shape[:-1], dtype=torch.bool, device=x.device)
        for attend, forward, norm in zip(self.encoder, self.feed_forward, self.norms, strict=True):
            normed = norm(x)
            x = forward(x + attend(normed, normed, everywhere))
        parts = torch.stack([self.project[name](given) for name, given in pooled.items()])
        return {"z": torch.cat([x.mean(dim=-2), summaries.flatten(-2)], dim=-1), "parts": parts}

    def _joined(
        self, tokens: Mapping[str, Tensor], valid: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "B _ W"], Bool[Tensor, "B _"]]:
        """Both streams at the steps of the first, which go on for as long as either of a clip's streams."""
        first, second = tokens
        num_steps = tokens[first].shape[-2]
        reach = math.ceil(tokens[second].shape[-2] * self.rates[first] / self.rates[second])
        more = max(0, reach - num_steps)
        own = functional.pad(tokens[first], (0, 0, 0, more))
        own_valid = functional.pad(valid[first], (0, more))
        at = times(num_steps + more, self.rates[first], own.device)
        beside, beside_valid = at_times(tokens[second], valid[second], self.rates[second], at)
        beside = beside * beside_valid.unsqueeze(-1)
        return self.join(torch.cat([own, beside], dim=-1)), own_valid | beside_valid
