"""A joint stream beside sound and picture (JMT, arXiv 2407.12927): six attentions between pairs of the three.

B clips, T steps, W width.
"""

from collections.abc import Mapping
from itertools import permutations

import torch
from torch import Tensor, nn

from blended.fusion.modules.attention import Attention, FeedForward
from blended.fusion.modules.m2fnet import at_times
from blended.fusion.modules.streams import StreamShape, between, embedded, make_streams, mean_and_spread
from blended.fusion.network import Batch, FusionModule, Outputs

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
        self.attend = nn.ModuleList(Attention(width, num_heads) for _ in self.pairs)
        self.summarise = nn.ModuleList(nn.Linear(2 * width, width) for _ in self.pairs)
        self.encoder = nn.ModuleList(Attention(width, num_heads) for _ in range(num_layers))
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
        tokens, valid, seconds = embedded(self.streams, batch, uniform)
        first, second = tokens
        beside, beside_valid = at_times(tokens[second], valid[second], self.rates[second], seconds[first])
        pooled = {name: mean_and_spread(x, valid[name]) for name, x in tokens.items()}
        tokens[JOINT] = self.join(torch.cat([tokens[first], beside], dim=-1))
        valid[JOINT] = valid[first] | beside_valid
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
