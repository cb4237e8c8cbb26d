"""What HiCMAE's pre-training predicts for the hidden tokens, and what counts how much.

The values of a token are normalised, and ordered by position (frame, row, column), then channel.
B batch, C channels, T frames, H height, W width, S spectrogram frames, F mel bins, N tokens, P positions in a
token, or its values.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat
from torch import Tensor

from blended.data.errors import InputError
from blended.encoders.networks.config import Pair
from blended.encoders.networks.hicmae.config import BackboneConfig
from blended.encoders.networks.hicmae.pretrain import split_indices, take

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
EPS = 1e-6


def pixels(
    video_BCTHW: Float[Tensor, "batch 3 frames height width"],
) -> Float[Tensor, "batch 3 frames height width"]:
    """Undoes the ImageNet normalisation that the network's input has: values from 0 to 1."""
    mean_C111 = video_BCTHW.new_tensor(IMAGENET_MEAN)[:, None, None, None]
    std_C111 = video_BCTHW.new_tensor(IMAGENET_STD)[:, None, None, None]
    return video_BCTHW * std_C111 + mean_C111


def video_targets(
    pixels_BCTHW: Float[Tensor, "batch channels frames height width"],
    tubelet_size: int,
    patch_size: Pair,
    *,
    normalise: bool = True,
    frame_difference: bool = False,
) -> Float[Tensor, "batch tokens values"]:
    """The values of each tube, from pixels in 0..1.

    With `normalise` each channel of each token has mean 0 and (unbiased) variance 1. With `frame_difference`
    all frames of a tube but the first are replaced, after that, by their difference to the first.
    """
    batch_size, channels, frames, height, width = pixels_BCTHW.shape
    sides = (tubelet_size, *patch_size)
    _check_divides((frames, height, width), sides)
    tubes = pixels_BCTHW.reshape(
        batch_size,
        channels,
        frames // tubelet_size,
        tubelet_size,
        height // patch_size[0],
        patch_size[0],
        width // patch_size[1],
        patch_size[1],
    )
    values_BNPC = tubes.permute(0, 2, 4, 6, 3, 5, 7, 1).flatten(4, 6).flatten(1, 3)
    if normalise:
        values_BNPC = normalised(values_BNPC)
    if frame_difference:
        frames_BNTPC = values_BNPC.unflatten(2, (tubelet_size, -1))
        first, later = frames_BNTPC[:, :, :1], frames_BNTPC[:, :, 1:]
        values_BNPC = torch.cat([first, later - first], dim=2).flatten(2, 3)
    return values_BNPC.flatten(2)


def audio_targets(
    audio_BCSF: Float[Tensor, "batch channels frames bins"], patch_size: Pair, *, normalise: bool = True
) -> Float[Tensor, "batch tokens values"]:
    """The values of each spectrogram patch; with `normalise` mean 0 and (unbiased) variance 1 per channel."""
    batch_size, channels, frames, bins = audio_BCSF.shape
    _check_divides((frames, bins), patch_size)
    patches = audio_BCSF.reshape(
        batch_size, channels, frames // patch_size[0], patch_size[0], bins // patch_size[1], patch_size[1]
    )
    values_BNPC = patches.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)
    return (normalised(values_BNPC) if normalise else values_BNPC).flatten(2)


def normalised(
    values_BNPC: Float[Tensor, "batch tokens positions channels"],
) -> Float[Tensor, "batch tokens positions channels"]:
    """Each token and channel to mean 0 and unbiased variance 1; eps is added to the deviation."""
    deviation_BN1C = values_BNPC.var(dim=2, unbiased=True, keepdim=True).sqrt()
    return (values_BNPC - values_BNPC.mean(dim=2, keepdim=True)) / (deviation_BN1C + EPS)


def _check_divides(lengths: tuple[int, ...], sides: tuple[int, ...]) -> None:
    if any(length % side for length, side in zip(lengths, sides, strict=True)):
        raise InputError(
            f"targets of an input of {lengths} in tokens of {sides}: each length must be a multiple of "
            "the side of a token; resize or pad first"
        )


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
