"""Streams of tokens: features over time as one network width, with the time that they belong to.

B clips, T time steps, D feature width, W network width.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from blended.fusion.network import Batch, Between, dropped

LONGEST_PERIOD_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class StreamShape:
    """What a modality's features look like."""

    dim: int
    rate_hz: float


def between(
    shapes: Mapping[str, StreamShape],
    asking: str,
    answering: str,
    layer: int = 1,
    heads_alike: bool = False,
) -> Between:
    """Attention of one of the streams to another, each at its own rate."""
    rates = shapes[asking].rate_hz, shapes[answering].rate_hz
    return Between(asking, answering, [*shapes].index(asking), *rates, layer, heads_alike)


def times(num_steps: int, rate_hz: float, device: torch.device) -> Float[Tensor, "T"]:
    """The middle of every step, in seconds from the start of the clip."""
    return (torch.arange(num_steps, device=device) + 0.5) / rate_hz


def positions(seconds_T: Float[Tensor, "T"], width: int, rate_hz: float) -> Float[Tensor, "T W"]:
    """Sines and cosines of time, from two steps to 20 s long (after arXiv 1706.03762).

    Of seconds and not of steps, so that streams of different rates agree on what is simultaneous.
    """
    count = (width + 1) // 2
    shortest = 2 / rate_hz
    periods = shortest * (LONGEST_PERIOD_SECONDS / shortest) ** (
        torch.arange(count, device=seconds_T.device) / max(1, count - 1)
    )
    angle = 2 * math.pi * seconds_T.unsqueeze(1) / periods
    return torch.cat([angle.sin(), angle.cos()], dim=1)[:, :width]


class StreamEmbedding(nn.Module):
    """One modality's features as tokens."""

    def __init__(self, name: str, place: int, shape: StreamShape, width: int, dropout: float) -> None:
        super().__init__()
        self.name, self.place, self.shape, self.dropout = name, place, shape, dropout
        self.project = nn.Linear(shape.dim, width)
        self.norm = nn.LayerNorm(width)
        self.width = width
        self.noise_width = width if dropout else 0

    def forward(
        self, batch: Batch, uniform: Float[Tensor, "B W"] | None
    ) -> tuple[Float[Tensor, "B T W"], Bool[Tensor, "B T"]]:
        """Tokens, and which of them are there. Dropout takes a channel from a whole clip (1512.05287)."""
        x_BTD, valid_BT = batch[self.name], batch[f"{self.name}.valid"]
        valid_BT = valid_BT & batch["present"][..., self.place : self.place + 1]
        tokens = self.norm(self.project(x_BTD))
        seconds = times(x_BTD.shape[-2], self.shape.rate_hz, x_BTD.device)
        tokens = tokens + positions(seconds, self.width, self.shape.rate_hz)
        tokens = dropped(tokens, None if uniform is None else uniform.unsqueeze(-2), self.dropout)
        return tokens * valid_BT.unsqueeze(-1), valid_BT

    def seconds(self, tokens_BTW: Tensor) -> Float[Tensor, "T"]:
        """When the tokens are."""
        return times(tokens_BTW.shape[-2], self.shape.rate_hz, tokens_BTW.device)


class Streams(nn.ModuleDict):
    """A stream per modality, in the order of `present`."""

    @property
    def noise_width(self) -> int:
        """Uniform numbers per clip that all of them want."""
        return sum(stream.noise_width for stream in self.values() if isinstance(stream, StreamEmbedding))


def make_streams(shapes: Mapping[str, StreamShape], width: int, dropout: float) -> Streams:
    """Fresh streams of one width."""
    return Streams(
        {
            name: StreamEmbedding(name, place, shape, width, dropout)
            for place, (name, shape) in enumerate(shapes.items())
        }
    )


def embedded(
    streams: Streams, batch: Batch, uniform: Tensor | None
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Tokens [B, T, W], which of them are there [B, T], and their times in seconds [T], by modality."""
    tokens: dict[str, Tensor] = {}
    valid: dict[str, Tensor] = {}
    seconds: dict[str, Tensor] = {}
    at = 0
    for name, stream in streams.items():
        assert isinstance(stream, StreamEmbedding)
        drawn = None if uniform is None else uniform[..., at : at + stream.noise_width]
        tokens[name], valid[name] = stream(batch, drawn)
        seconds[name] = stream.seconds(tokens[name])
        at += stream.noise_width
    return tokens, valid, seconds


def mean_over_time(x_BTW: Float[Tensor, "B T W"], valid_BT: Bool[Tensor, "B T"]) -> Float[Tensor, "B W"]:
    """The mean over the steps that are there; zeros for a clip without any."""
    shares_BT = valid_BT / valid_BT.sum(dim=-1, keepdim=True).clamp(min=1)
    return (shares_BT.to(x_BTW.dtype).unsqueeze(-2) @ x_BTW).squeeze(-2)


def beyond_mean(x_BTW: Float[Tensor, "B T W"], valid_BT: Bool[Tensor, "B T"]) -> Float[Tensor, "B T W"]:
    """What every step has beyond the mean over the clip; 0 for steps that are not there."""
    return (x_BTW - mean_over_time(x_BTW, valid_BT).unsqueeze(-2)) * valid_BT.unsqueeze(-1)


def mean_and_spread(x_BTW: Float[Tensor, "B T W"], valid_BT: Bool[Tensor, "B T"]) -> Float[Tensor, "B 2*W"]:
    """Mean and standard deviation over the steps that are there."""
    variance = mean_over_time(beyond_mean(x_BTW, valid_BT).square(), valid_BT)
    # The small constant keeps the gradient of the root finite for a clip of one step.
    return torch.cat([mean_over_time(x_BTW, valid_BT), (variance + 1e-6).sqrt()], dim=-1)
