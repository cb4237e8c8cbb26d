"""HiCMAE's pre-training loss of one batch, as published, to compare what trains many networks at once with.

    L = MSE_video + MSE_audio + weight * sum over layers of (CE_video_to_audio + CE_audio_to_video) / 2

B batch, M masked tokens, T frames of a tube, P values of a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from blended.encoders.networks.hicmae.targets import PretrainLossConfig, Targets


@dataclass(frozen=True, slots=True)
class PretrainLosses:
    """The loss and its parts."""

    total: Float[Tensor, ""]
    video: Float[Tensor, ""]
    """Mean squared error per predicted value."""
    audio: Float[Tensor, ""]
    """Mean squared error per predicted value."""
    contrastive: Float[Tensor, ""]
    """Symmetric cross-entropy in nats, summed over the layers, before weighting."""


def pretraining_loss(
    video_BMP: Float[Tensor, "batch masked_video values_video"],
    audio_BMP: Float[Tensor, "batch masked_audio values_audio"],
    logits_per_video: Sequence[Float[Tensor, "batch batch"]],
    targets: Targets,
    tubelet_size: int,
    config: PretrainLossConfig,
) -> PretrainLosses:
    """The loss of one batch, from the predictions and logits of the autoencoder and `pretraining_targets`."""
    if config.difference_weight is None:
        video = functional.mse_loss(video_BMP, targets.video)
    else:
        video = _weighted_by_frame(video_BMP, targets.video, tubelet_size, config.difference_weight)
    audio = functional.mse_loss(audio_BMP, targets.audio)
    contrastive = video.new_zeros(())
    for logits_BB in logits_per_video:
        contrastive = contrastive + symmetric_cross_entropy(logits_BB)
    total = video + audio + config.contrastive_weight * contrastive
    return PretrainLosses(total=total, video=video, audio=audio, contrastive=contrastive)


def symmetric_cross_entropy(logits_BB: Float[Tensor, "batch batch"]) -> Float[Tensor, ""]:
    """Each row should find its own column and each column its own row: the mean of both, in nats, >= 0.

    >>> round(symmetric_cross_entropy(torch.zeros(4, 4)).item(), 4)  # four equal choices: log 4
    1.3863
    """
    own_B = torch.arange(len(logits_BB), device=logits_BB.device)
    rows, columns = functional.cross_entropy(logits_BB, own_B), functional.cross_entropy(logits_BB.T, own_B)
    return (rows + columns) / 2


def _weighted_by_frame(
    predicted_BMP: Tensor, target_BMP: Tensor, tubelet_size: int, difference_weight: float
) -> Tensor:
    error_BMTP = (predicted_BMP - target_BMP).square().unflatten(2, (tubelet_size, -1))
    first, later = error_BMTP[:, :, :1].mean(), error_BMTP[:, :, 1:].mean()
    return (1 - difference_weight) * first + difference_weight * later
