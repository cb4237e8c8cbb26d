"""How streams attend to each other: by lag over all clips, and step by step in single ones.

B clips, H heads, Q and S steps of the asking and of the answering stream, L lags.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from blended.fusion.modules.attention import MaskedAttention
from blended.fusion.modules.streams import times
from blended.fusion.network import Batch, Between
from blended.fusion.passes import forward
from blended.fusion.training import Trained

CLIPS_AT_ONCE = 64
MAX_LAG_SECONDS = 1.2
"""Lags further apart are in no table: few clips have them."""

Seen = dict[str, tuple[Tensor, Tensor]]
"""Module -> its weights [B, H, Q, 1 + S], of which the first is for nothing, and the steps that are there."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipAttention:
    """What every step of one clip attends to, on average over heads."""

    asking_seconds: Float[np.ndarray, "Q"]
    answering_seconds: Float[np.ndarray, "S"]
    weights: Float[np.ndarray, "Q S"]
    """Each row adds up to 1: the share that goes to nothing is left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Attended:
    """One stream's attention to another in one layer."""

    asking: str
    """Modality."""
    answering: str
    layer: int
    """From 1."""
    lags_seconds: Float[np.ndarray, "L"]
    """By how much later the step is that is attended to."""
    preference: Float[np.ndarray, "head L"]
    """Mean weight of a step at the lag, as a multiple of what it had if all steps of the clip had the same.
    One row per head where the heads of all models start alike, else the mean of all."""
    nothing: Float[np.ndarray, "head"]
    """Share of the attention that goes to no step at all."""
    clips: Mapping[int, ClipAttention]
    """Place of a clip -> its attention, of the clips that were asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class _Attention:
    """What one model attended to in some clips."""

    shares_BHQS: Float[Tensor, "B H Q S"]
    """Of the attention that goes to steps."""
    nothing_BHQ: Float[Tensor, "B H Q"]
    asks_BQ: Bool[Tensor, "B Q"]
    answers_BS: Bool[Tensor, "B S"]
    asked_Q: Float[Tensor, "Q"]
    """Seconds."""
    answered_S: Float[Tensor, "S"]


@dataclass(slots=True, eq=False)
class _Sums:
    """What is added up over batches and models."""

    between: Between
    count_L: Tensor
    """Pairs of steps by lag, in steps of the faster stream, from the most negative."""
    total_HL: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    nothing_H: Tensor = field(default_factory=lambda: torch.zeros(0))
    asked: float = 0.0
    clips: dict[int, ClipAttention] = field(default_factory=dict[int, ClipAttention])

    @property
    def faster_hz(self) -> float:
        """Of the two streams."""
        return max(self.between.asking_hz, self.between.answering_hz)

    @property
    def farthest(self) -> int:
        """Steps."""
        return len(self.count_L) // 2


def attended(
    trained: Trained, clips_of_models: Mapping[int, Int[np.ndarray, "_"]], examples: Sequence[int]
) -> tuple[Attended, ...]:
    """Of every clip by the models named for it; one entry per pair of streams and layer.

    Clips in which one of the two streams is missing count for nothing.
    """
    sums = {name: _begun(between) for name, between in trained.network.fusion.attentions.items()}
    for place, rows in clips_of_models.items():
        for chunk in np.array_split(rows, -(-len(rows) // CLIPS_AT_ONCE)):
            batch, seen = _weights_seen(trained, place, chunk)
            for name, (weights, valid) in seen.items():
                one = _attention_of(sums[name].between, batch, weights, valid)
                _add(sums[name], one)
                _keep(sums[name], one, chunk, examples)
    return tuple(_finished(one) for one in sums.values())


def _begun(between: Between) -> _Sums:
    farthest = int(MAX_LAG_SECONDS * max(between.asking_hz, between.answering_hz))
    return _Sums(between, torch.zeros(2 * farthest + 1, dtype=torch.double))


@torch.no_grad()
def _weights_seen(trained: Trained, place: int, rows: Int[np.ndarray, "B"]) -> tuple[Batch, Seen]:
    """The batch of one model, and what its attentions did with it."""
    device = trained.device
    models, places = torch.tensor([place], device=device), torch.as_tensor(rows[None], device=device)
    batch = {key: value[0] for key, value in trained.source.batch(models, places).items()}
    parameters = {name: value[place] for name, value in trained.parameters.items()}
    with _watching(trained) as seen:
        forward(trained.network, parameters, batch)
    return batch, seen


@contextmanager
def _watching(trained: Trained) -> Generator[Seen]:
    """Weights of the last pass, by module; they are computed again from what the modules were given."""
    seen: Seen = {}

    def watch(name: str, module: MaskedAttention):
        def hook(_: object, given: tuple[Tensor, ...], named: Mapping[str, Tensor], __: Tensor) -> None:
            asking, answering, valid, *bias = given
            seen[name] = (module.weights(asking, answering, valid, *bias[:1]), valid)

        return module.register_forward_hook(hook, with_kwargs=True)

    handles = [
        watch(name, module)
        for name in trained.network.fusion.attentions
        if isinstance(module := trained.network.fusion.get_submodule(name), MaskedAttention)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _attention_of(
    between: Between, batch: Batch, weights_BHQS: Float[Tensor, "B H Q more"], valid_BS: Bool[Tensor, "B S"]
) -> _Attention:
    """Without the share that goes to nothing, and without steps that are not there."""
    present = batch["present"][..., between.place : between.place + 1]
    asks_BQ = batch[f"{between.asking}.valid"] & present & valid_BS.any(dim=1, keepdim=True)
    weights = weights_BHQS.double()
    if not between.heads_alike:
        weights = weights.mean(dim=1, keepdim=True)
    steps = weights[..., 1:]
    device = weights.device
    return _Attention(
        shares_BHQS=steps / steps.sum(dim=-1, keepdim=True).clamp(min=1e-12),
        nothing_BHQ=weights[..., 0],
        asks_BQ=asks_BQ,
        answers_BS=valid_BS,
        asked_Q=times(asks_BQ.shape[1], between.asking_hz, device),
        answered_S=times(valid_BS.shape[1], between.answering_hz, device),
    )


def _add(sums: _Sums, seen: _Attention) -> None:
    """To what is known of every lag."""
    both_BQS = (seen.asks_BQ.unsqueeze(-1) & seen.answers_BS.unsqueeze(-2)).double()
    num_steps_B = seen.answers_BS.sum(dim=1).double()
    multiples_HQS = torch.einsum("bhqs,bqs,b->hqs", seen.shares_BHQS, both_BQS, num_steps_B)
    lag_QS = ((seen.answered_S[None] - seen.asked_Q[:, None]) * sums.faster_hz).round().long()
    place_QS = lag_QS + sums.farthest
    near = (place_QS >= 0) & (place_QS < sums.count_L.shape[0])
    sums.count_L.index_add_(0, place_QS[near].cpu(), both_BQS.sum(dim=0)[near].cpu())
    asked = (seen.nothing_BHQ * seen.asks_BQ.unsqueeze(1)).sum(dim=(0, 2)).cpu()
    if not len(sums.total_HL):
        sums.total_HL = asked.new_zeros(len(asked), len(sums.count_L))
        sums.nothing_H = torch.zeros_like(asked)
    sums.total_HL.index_add_(1, place_QS[near].cpu(), multiples_HQS[:, near].cpu())
    sums.nothing_H += asked
    sums.asked += float(seen.asks_BQ.sum())


def _keep(sums: _Sums, seen: _Attention, rows: Int[np.ndarray, "B"], wanted: Sequence[int]) -> None:
    """The clips that are wanted step by step, by the first model that is asked."""
    for place in np.flatnonzero(np.isin(rows, wanted)).tolist():
        asks, answers, clip = seen.asks_BQ[place], seen.answers_BS[place], int(rows[place])
        if clip in sums.clips or not bool(asks.any()):
            continue
        sums.clips[clip] = ClipAttention(
            seen.asked_Q[asks].double().cpu().numpy(),
            seen.answered_S[answers].double().cpu().numpy(),
            seen.shares_BHQS[place].mean(dim=0)[asks][:, answers].cpu().numpy(),
        )


def _finished(sums: _Sums) -> Attended:
    between, kept = sums.between, sums.count_L > 0
    lags_L = torch.arange(-sums.farthest, sums.farthest + 1)[kept].double() / sums.faster_hz
    return Attended(
        asking=between.asking,
        answering=between.answering,
        layer=between.layer,
        lags_seconds=lags_L.numpy(),
        preference=(sums.total_HL[:, kept] / sums.count_L[kept]).numpy(),
        nothing=(sums.nothing_H / max(sums.asked, 1.0)).numpy(),
        clips=dict(sums.clips),
    )
