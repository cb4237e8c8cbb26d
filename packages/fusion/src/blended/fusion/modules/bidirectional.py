"""Attention between two streams in both directions, layer by layer.

B clips, T and S steps of the asking and of the other stream, W width. A single stream attends to itself.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from blended.fusion.modules.attention import FeedForward, LagBias, MaskedAttention
from blended.fusion.modules.streams import (
    StreamShape,
    between,
    beyond_mean,
    embedded,
    make_streams,
    mean_and_spread,
    mean_over_time,
)
from blended.fusion.network import Batch, FusionModule, Outputs

MAX_LAG_SECONDS, NUM_LAGS = 0.8, 17
# Of the variance over time of a channel: below it, a correlation would be that of rounding errors.
SMALLEST_VARIANCE = 1e-3


class BidirectionalBlock(nn.Module):
    """One stream asks the other, and takes in the answer and its product with what it has.

    The product of what both do beyond their mean over the clip is what tells whether two events coincide,
    which a sum cannot. Its mean over time, scaled by the spreads, is the correlation of the streams at the
    lags that the heads prefer; it goes to the clip's vector directly, since through further layers it was
    not learned from a thousand clips.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm, self.norm_other = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend = MaskedAttention(width, num_heads)
        self.lags = LagBias(num_heads, MAX_LAG_SECONDS, NUM_LAGS)
        self.merge = nn.Linear(3 * width, width)
        self.feed_forward = FeedForward(width)

    def forward(
        self,
        x_BTW: Float[Tensor, "B T W"],
        valid_BT: Bool[Tensor, "B T"],
        other_BSW: Float[Tensor, "B S W"],
        valid_BS: Bool[Tensor, "B S"],
        seconds_T: Float[Tensor, "T"],
        seconds_S: Float[Tensor, "S"],
    ) -> tuple[Float[Tensor, "B T W"], Float[Tensor, "B W"]]:
        """The asking stream with what the other says, and the correlation of both."""
        x, other = self.norm(x_BTW), self.norm_other(other_BSW)
        answer = self.attend(x, other, valid_BS, self.lags(seconds_T, seconds_S))
        own, said = beyond_mean(x, valid_BT), beyond_mean(answer, valid_BT)
        merged = self.merge(torch.cat([x, answer, own * said], dim=-1))
        spreads = [mean_over_time(part.square(), valid_BT) + SMALLEST_VARIANCE for part in (own, said)]
        correlation = mean_over_time(own * said, valid_BT) * (spreads[0] * spreads[1]).rsqrt()
        return self.feed_forward(x_BTW + merged), correlation


class Bidirectional(FusionModule):
    """Both streams ask each other at once, with what they were before the layer."""

    def __init__(
        self,
        shapes: Mapping[str, StreamShape],
        width: int,
        num_heads: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        streams = make_streams(shapes, width, dropout)
        super().__init__((2 + num_layers) * width * len(shapes), len(shapes), streams.noise_width)
        self.streams = streams
        self.layers = nn.ModuleList(
            nn.ModuleDict({name: BidirectionalBlock(width, num_heads) for name in shapes})
            for _ in range(num_layers)
        )
        self.project = nn.ModuleDict({name: nn.Linear(2 * width, width) for name in shapes})
        self.other = dict(zip(shapes, reversed([*shapes]), strict=True))
        self.attentions = {
            f"layers.{number}.{name}.attend": between(shapes, name, other, layer=number + 1, heads_alike=True)
            for number in range(num_layers)
            for name, other in self.other.items()
        }

    def forward(self, batch: Batch, uniform: Tensor | None = None) -> Outputs:
        """`z`: mean and spread over time and the correlations of every stream; `parts`: each projected."""
        tokens, valid, seconds = embedded(self.streams, batch, uniform)
        correlations: list[Tensor] = []
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict)
            given = {
                name: layer[name](x, valid[name], tokens[of], valid[of], seconds[name], seconds[of])
                for (name, x), of in zip(tokens.items(), self.other.values(), strict=True)
            }
            tokens = {name: after for name, (after, _) in given.items()}
            correlations += [correlation for _, correlation in given.values()]
        pooled = {name: mean_and_spread(x, valid[name]) for name, x in tokens.items()}
        parts = torch.stack([self.project[name](x) for name, x in pooled.items()])
        return {"z": torch.cat([*pooled.values(), *correlations], dim=-1), "parts": parts}
