"""The fusion layer of M2FNet (arXiv 2206.02187): queries and values of one stream, keys of the other.

B clips, T steps, W width.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from blended.fusion.modules.attention import Attention
from blended.fusion.modules.streams import StreamShape, embedded, make_streams, mean_and_spread
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
        self.attend = nn.ModuleList(Attention(width, num_heads) for _ in range(num_layers))
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
