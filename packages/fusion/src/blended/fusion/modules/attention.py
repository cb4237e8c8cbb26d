"""Attention from one stream to another that knows how far apart in time two steps are.

B clips, Q and S steps of the asking and of the answering stream, H heads, W width, L lags.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

START_LAG_SECONDS, START_SPREAD_SECONDS, SMALLEST_START = 0.6, 0.12, 5.0


class LagBias(nn.Module):
    """A learned preference of every head for lags between the streams, linear between fixed lags.

    Relative positions (arXiv 1803.02155) in seconds: streams may have different rates. Heads start with
    preferences for different lags, since from one for all lags alike none is found in a thousand clips.
    """

    def __init__(self, num_heads: int, max_lag_seconds: float, num_lags: int) -> None:
        super().__init__()
        self.max_lag_seconds = max_lag_seconds
        nodes_L = torch.linspace(-max_lag_seconds, max_lag_seconds, num_lags)
        start_H = torch.linspace(-1, 1, num_heads + 2)[1:-1] * START_LAG_SECONDS
        away_HL = (nodes_L - start_H.unsqueeze(1)) / START_SPREAD_SECONDS
        self.table_HL = nn.Parameter((-0.5 * away_HL.square()).clamp(min=-SMALLEST_START))

    def forward(
        self, asking_Q: Float[Tensor, "Q"], answering_S: Float[Tensor, "S"]
    ) -> Float[Tensor, "H Q S"]:
        """What is added to the scores of steps at these times, in seconds."""
        num_lags = self.table_HL.shape[-1]
        lag_QS = answering_S.unsqueeze(0) - asking_Q.unsqueeze(1)
        place_QS = (lag_QS / self.max_lag_seconds + 1) / 2 * (num_lags - 1)
        nodes_L = torch.arange(num_lags, device=place_QS.device)
        hat_QSL = (1 - (place_QS.clamp(0, num_lags - 1).unsqueeze(-1) - nodes_L).abs()).clamp(min=0)
        return torch.einsum("qsl,hl->hqs", hat_QSL, self.table_HL)


class Attention(nn.Module):
    """Multi-head attention over the steps that are there, and over one learned token that always is.

    The token makes a stream that is missing an answer like any other.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.nothing = nn.Parameter(torch.randn(1, width) * 0.1)

    def forward(
        self,
        asking_BQW: Float[Tensor, "B Q W"],
        answering_BSW: Float[Tensor, "B S W"],
        valid_BS: Bool[Tensor, "B S"],
        bias_HQS: Float[Tensor, "#H Q S"] | None = None,
        values_BSW: Float[Tensor, "B S W"] | None = None,
    ) -> Float[Tensor, "B Q W"]:
        """What the answering stream says to every asking step; `values_BSW` takes its place as values."""
        key, value = self.key_value(self._with_nothing(answering_BSW)).chunk(2, dim=-1)
        if values_BSW is not None:
            weight, bias = self.key_value.weight.chunk(2, dim=0)[1], self.key_value.bias.chunk(2, dim=0)[1]
            value = torch.nn.functional.linear(self._with_nothing(values_BSW), weight, bias)
        weights = self._weights(asking_BQW, key, valid_BS, bias_HQS)
        return self.out((weights @ self._heads(value)).transpose(-3, -2).flatten(-2))

    def weights(
        self,
        asking_BQW: Float[Tensor, "B Q W"],
        answering_BSW: Float[Tensor, "B S W"],
        valid_BS: Bool[Tensor, "B S"],
        bias_HQS: Float[Tensor, "#H Q S"] | None = None,
    ) -> Float[Tensor, "B H Q more"]:
        """What `forward` weighs by: first the token that stands for nothing, then the S steps."""
        key, _ = self.key_value(self._with_nothing(answering_BSW)).chunk(2, dim=-1)
        return self._weights(asking_BQW, key, valid_BS, bias_HQS)

    def _with_nothing(self, x_BSW: Float[Tensor, "B S W"]) -> Float[Tensor, "B more W"]:
        return torch.cat([self.nothing.expand(len(x_BSW), 1, -1), x_BSW], dim=-2)

    def _weights(
        self,
        asking_BQW: Float[Tensor, "B Q W"],
        key_BSW: Float[Tensor, "B more W"],
        valid_BS: Bool[Tensor, "B S"],
        bias_HQS: Float[Tensor, "#H Q S"] | None,
    ) -> Float[Tensor, "B H Q more"]:
        query, key = self._heads(self.query(asking_BQW)), self._heads(key_BSW)
        # Few passes over [B, H, Q, S], which is by far the largest here: the query is scaled instead of the
        # scores, and what is not there is hidden by a sum, whose gradient costs nothing.
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        open_BS = torch.nn.functional.pad(valid_BS, (1, 0), value=True)
        hidden_BS = torch.zeros_like(open_BS, dtype=scores.dtype).masked_fill(~open_BS, float("-inf"))
        hidden = hidden_BS[:, None, None]
        if bias_HQS is not None:
            hidden = hidden + torch.nn.functional.pad(bias_HQS, (1, 0))
        return (scores + hidden).softmax(dim=-1)

    def _heads(self, x_BTW: Float[Tensor, "B T W"]) -> Float[Tensor, "B H T w"]:
        return x_BTW.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)


class FeedForward(nn.Module):
    """LayerNorm, then an MLP of twice the width, added to what went in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x_BTW: Float[Tensor, "B T W"]) -> Float[Tensor, "B T W"]:
        """The same shape."""
        return x_BTW + self.layers(x_BTW)
