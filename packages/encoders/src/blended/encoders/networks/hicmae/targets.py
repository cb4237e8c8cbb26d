"""What the autoencoder has to predict for each token: its own values, normalised.

B batch, C channels, T frames, H height, W width, S spectrogram frames, F mel bins, N tokens, P positions in a
token. The values of a token are ordered by position (frame, row, column), then channel.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from blended.data.errors import InputError
from blended.encoders.networks.config import Pair

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
