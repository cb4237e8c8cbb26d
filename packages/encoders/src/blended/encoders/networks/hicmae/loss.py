"""The pre-training loss of HiCMAE: reconstruction of both modalities + contrast at several depths.

    L = MSE_video + MSE_audio + weight * sum over layers of (CE_video_to_audio + CE_audio_to_video) / 2

B batch, N tokens, M masked tokens, P values of a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat
from torch import Tensor
from torch.nn import functional

from blended.encoders.networks.hicmae.config import BackboneConfig
from blended.encoders.networks.hicmae.masks import split_indices, take
from blended.encoders.networks.hicmae.targets import audio_targets, pixels, video_targets


class PretrainLossConfig(BaseModel):
    """What is predicted, and what counts how much."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contrastive_weight: NonNegativeFloat = 0.0025
    """Weight of the contrastive part against the reconstruction; 0.1 makes the features collapse."""
    normalise_video: bool = True
    """Normalise the pixels of each token."""
    normalise_audio: bool = True
    """Normalise the values of each spectrogram patch."""
    frame_difference: bool = False
    """Predict the later frames of a tube as differences to the first (the released base script does)."""
    difference_weight: float | None = Field(default=None, ge=0.0, le=1.0)
    """Weight of the differences against the first frame (1 - weight); None weighs all values alike."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What the masked tokens of a batch hold."""

    video: Float[Tensor, "batch masked_video values_video"]
    audio: Float[Tensor, "batch masked_audio values_audio"]


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


@torch.no_grad()
def pretraining_targets(
    video_BCTHW: Float[Tensor, "batch 3 frames height width"],
    audio_BCSF: Float[Tensor, "batch channels audio_frames bins"],
    mask_video_BN: Bool[Tensor, "batch video_tokens"],
    mask_audio_BN: Bool[Tensor, "batch audio_tokens"],
    backbone: BackboneConfig,
    config: PretrainLossConfig,
) -> Targets:
    """The targets of the masked tokens, from the same inputs and masks that the network gets.

    Video is expected with the ImageNet normalisation, which is undone first.
    """
    video_BNP = video_targets(
        pixels(video_BCTHW),
        backbone.tubelet_size,
        backbone.video.patch_size,
        normalise=config.normalise_video,
        frame_difference=config.frame_difference,
    )
    audio_BNP = audio_targets(audio_BCSF, backbone.audio.patch_size, normalise=config.normalise_audio)
    return Targets(
        video=take(video_BNP, split_indices(mask_video_BN)[1]),
        audio=take(audio_BNP, split_indices(mask_audio_BN)[1]),
    )


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
