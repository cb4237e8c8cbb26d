"""Attention from one stream to another that knows how far apart in time two steps are.

A models, B clips, Q and S steps of the asking and of the answering stream, H heads, W width, w width of a
head, L lags.
"""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

START_LAG_SECONDS, START_SPREAD_SECONDS, SMALLEST_START = 0.6, 0.12, 5.0
CACHED = 2**17
"""Numbers that a core's cache holds beside others."""


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


class Answered(torch.autograd.Function):
    """Softmax attention of many small heads, made for a CPU: `softmax(query key + bias) value`.

    [A, B, H, Q, S] is by far the largest here, so it is passed over as seldom as can be, and in parts that a
    cache holds. Weights are powers of two, several times cheaper than those of e, and never divided by their
    sum, which a channel of ones beside the values gives. Another channel takes each row's mean from the
    gradients. Matrices have their few channels first, since products of a BLAS are fast where they are wide.
    """

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        query_ABHwQ: Float[Tensor, "A B H w Q"],
        key_ABHwS: Float[Tensor, "A B H w S"],
        value_ABHwS: Float[Tensor, "A B H w S"],
        hidden_ABS: Float[Tensor, "A B S"],
        bias_AHQS: Float[Tensor, "A H Q S"],
    ) -> tuple[Tensor, ...]:
        """Answers [A, B, H, w, Q], then what `backward` wants; `hidden` is -inf for what is not there."""
        num_channels = query_ABHwQ.shape[-2]
        scale = num_channels**-0.5 / math.log(2)
        query = torch.cat([query_ABHwQ * scale, torch.ones_like(query_ABHwQ[..., :1, :])], dim=-2)
        hidden = hidden_ABS[:, :, None, None].expand_as(key_ABHwS[..., :1, :])
        key = torch.cat([key_ABHwS, hidden], dim=-2)
        value = torch.cat([value_ABHwS, torch.ones_like(hidden)], dim=-2)
        bias = bias_AHQS / math.log(2)
        weights = query.new_empty(*query.shape[:3], query.shape[-1], key.shape[-1])
        answer = torch.empty_like(query)
        for part in _parts(weights):
            scores = weights[part].copy_(bias[part[0]]).flatten(0, 1)
            scores.baddbmm_(query[part].flatten(0, 1).mT, key[part].flatten(0, 1))
            scores.sub_(scores.amax(dim=-1, keepdim=True)).exp2_()
            torch.bmm(value[part].flatten(0, 1), scores.mT, out=answer[part].flatten(0, 1))
        total = answer[..., num_channels:, :]
        return answer[..., :num_channels, :] / total, total, weights, query, key, value

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        """Keeps what `backward` wants."""
        del inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor | None, *_: None
    ) -> tuple[Tensor | None, ...]:
        """Gradients of the channels and of the bias."""
        if gradient is None:
            return (None,) * 5
        answer, total, weights, query, key, value = ctx.saved_tensors
        channels = slice(answer.shape[-2])
        shared = gradient / total
        shared = torch.cat([shared, -(shared * answer).sum(dim=-2, keepdim=True)], dim=-2)
        of_query, of_key, of_value = (torch.empty_like(x[..., channels, :]) for x in (query, key, value))
        of_bias = weights.new_zeros(len(weights), *weights.shape[2:])
        for part in _parts(weights):
            weight, given = weights[part].flatten(0, 1), shared[part].flatten(0, 1)
            torch.bmm(given[:, channels], weight, out=of_value[part].flatten(0, 1))
            scores = torch.bmm(given.mT, value[part].flatten(0, 1)).mul_(weight)
            torch.bmm(key[part].flatten(0, 1)[:, channels], scores.mT, out=of_query[part].flatten(0, 1))
            torch.bmm(query[part].flatten(0, 1)[:, channels], scores, out=of_key[part].flatten(0, 1))
            of_bias[part[0]] += scores.view_as(weights[part]).sum(dim=0)
        return of_query * len(answer[0, 0, 0]) ** -0.5, of_key * math.log(2), of_value, None, of_bias

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *given: Tensor) -> tuple[Any, Any]:
        """Models beside models."""
        stacked = [
            x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
            for x, dim in zip(given, in_dims, strict=True)
        ]
        outputs = Answered.apply(*(x.flatten(0, 1) for x in stacked))
        return tuple(x.unflatten(0, (info.batch_size, -1)) for x in outputs), (0,) * len(outputs)


def _parts(weights_ABHQS: Tensor) -> list[tuple[int, slice]]:
    """Models, and of each some clips, whose weights a cache holds."""
    num_models, num_clips = weights_ABHQS.shape[:2]
    at_once = num_clips
    if weights_ABHQS.device.type == "cpu":
        at_once = max(1, CACHED // max(1, weights_ABHQS[0, 0].numel()))
    starts = range(0, num_clips, at_once)
    return [(model, slice(first, first + at_once)) for model in range(num_models) for first in starts]


class MaskedAttention(nn.Module):
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
        none_1QS = asking_BQW.new_zeros(1, asking_BQW.shape[-2], answering_BSW.shape[-2])
        bias = torch.nn.functional.pad(none_1QS if bias_HQS is None else bias_HQS, (1, 0))
        bias = bias.expand(self.num_heads, -1, -1)
        given = (self.query(asking_BQW), key, value)
        channels = (self._heads(x).mT.to(bias.dtype).unsqueeze(0) for x in given)
        with torch.autocast(bias.device.type, enabled=False):
            answer = Answered.apply(*channels, self._hidden(valid_BS, bias.dtype)[None], bias[None])[0]
        return self.out(answer[0].movedim(-1, -3).flatten(-2))

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
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        hidden = self._hidden(valid_BS, scores.dtype)[:, None, None]
        if bias_HQS is not None:
            hidden = hidden + torch.nn.functional.pad(bias_HQS, (1, 0))
        return (scores + hidden).softmax(dim=-1)

    def _hidden(self, valid_BS: Bool[Tensor, "B S"], dtype: torch.dtype) -> Float[Tensor, "B more"]:
        """What is added to scores: 0, or -inf for what is not there."""
        open_BS = torch.nn.functional.pad(valid_BS, (1, 0), value=True)
        return torch.zeros_like(open_BS, dtype=dtype).masked_fill(~open_BS, float("-inf"))

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
