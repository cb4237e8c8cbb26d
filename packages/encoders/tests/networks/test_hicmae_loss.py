"""Targets and loss against plain second implementations."""

import itertools
import math
import statistics

import pytest
import torch
from torch import Tensor

from blended.data.errors import InputError
from blended.encoders.networks.hicmae.config import BackboneConfig, StreamConfig
from blended.encoders.networks.hicmae.pretrain import random_mask, tube_mask
from blended.encoders.networks.hicmae.targets import (
    PretrainLossConfig,
    Targets,
    audio_targets,
    pixels,
    pretraining_targets,
    video_targets,
)
from toys.hicmae_loss import pretraining_loss, symmetric_cross_entropy


def plain_video_target(
    video: Tensor, corner: tuple[int, int, int], sides: tuple[int, int, int], difference: bool
) -> list[float]:
    """One token of [C, T, H, W], value by value: positions outside, channels inside."""
    offsets = list(itertools.product(*(range(side) for side in sides)))
    at = [tuple(c + o for c, o in zip(corner, offset, strict=True)) for offset in offsets]
    channels: list[dict[tuple[int, ...], float]] = []
    for channel in video:
        raw = [channel[t, h, w].item() for t, h, w in at]
        mean, deviation = statistics.mean(raw), statistics.stdev(raw)
        normed = [(value - mean) / (deviation + 1e-6) for value in raw]
        channels.append(dict(zip(offsets, normed, strict=True)))
    if difference:
        channels = [
            {(t, h, w): v - channel[0, h, w] if t else v for (t, h, w), v in channel.items()}
            for channel in channels
        ]
    return [channel[offset] for offset in offsets for channel in channels]


@pytest.mark.parametrize("difference", [False, True])
@pytest.mark.parametrize("sides", [(2, 4, 4), (4, 2, 3)])
def test_video_targets(sides: tuple[int, int, int], difference: bool) -> None:
    video = torch.rand(2, 3, 4, 8, 12, generator=torch.Generator().manual_seed(0))
    targets = video_targets(video, sides[0], sides[1:], frame_difference=difference)
    corners = itertools.product(range(0, 4, sides[0]), range(0, 8, sides[1]), range(0, 12, sides[2]))
    expected = [plain_video_target(video[1], corner, sides, difference) for corner in corners]
    torch.testing.assert_close(targets[1], torch.tensor(expected), atol=1e-4, rtol=1e-4)


def test_targets_without_normalisation_are_the_values() -> None:
    video = torch.arange(2 * 2 * 4.0).reshape(1, 1, 2, 2, 4)
    targets = video_targets(video, 2, (2, 2), normalise=False)
    assert targets[0].tolist() == [[0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]]


def test_audio_targets() -> None:
    audio = torch.randn(2, 1, 4, 6, generator=torch.Generator().manual_seed(0))
    targets = audio_targets(audio, (2, 3))
    assert targets.shape == (2, 4, 6)
    for token, (row, column) in enumerate(itertools.product((0, 2), (0, 3))):
        raw = audio[0, 0, row : row + 2, column : column + 3].flatten().tolist()
        expected = [(v - statistics.mean(raw)) / (statistics.stdev(raw) + 1e-6) for v in raw]
        torch.testing.assert_close(targets[0, token], torch.tensor(expected), atol=1e-5, rtol=1e-5)


def test_a_constant_patch_gives_zeros_not_nan() -> None:
    assert not audio_targets(torch.full((1, 1, 4, 4), 3.0), (2, 2)).any()


def test_an_input_that_tokens_do_not_cover_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"input of \(5, 4\) in tokens of \(2, 2\): each length must be a multiple"
    ):
        audio_targets(torch.zeros(1, 1, 5, 4), (2, 2))


def test_pixels_undo_the_imagenet_normalisation() -> None:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    original = torch.rand(2, 3, 2, 4, 4)
    shape = (1, 3, 1, 1, 1)
    torch.testing.assert_close(pixels((original - mean.reshape(shape)) / std.reshape(shape)), original)


def test_targets_of_a_batch_are_those_of_its_masked_tokens() -> None:
    backbone = BackboneConfig(
        video=StreamConfig(size=(8, 8), in_chans=3, dim=8, num_heads=2, patch_size=(4, 4)),
        audio=StreamConfig(size=(8, 4), in_chans=1, dim=8, num_heads=2, patch_size=(4, 4)),
        num_frames=4,
        fusion_num_heads=2,
    )
    video, audio = torch.randn(2, 3, 4, 8, 8), torch.randn(2, 1, 8, 4)
    mask_video, mask_audio = tube_mask(2, backbone.video_grid, 0.5), random_mask(2, 2, 0.5)
    targets = pretraining_targets(video, audio, mask_video, mask_audio, backbone, PretrainLossConfig())
    whole = video_targets(pixels(video), 2, (4, 4))
    torch.testing.assert_close(targets.video, whole[mask_video].reshape(2, -1, 96))
    torch.testing.assert_close(targets.audio, audio_targets(audio, (4, 4))[mask_audio].reshape(2, -1, 16))


def plain_cross_entropy(logits: list[list[float]]) -> float:
    """Mean over rows of -log of the softmax share of the diagonal."""
    return statistics.mean(
        math.log(sum(math.exp(value) for value in row)) - row[i] for i, row in enumerate(logits)
    )


def test_symmetric_cross_entropy() -> None:
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)) * 3
    expected = (plain_cross_entropy(logits.tolist()) + plain_cross_entropy(logits.T.tolist())) / 2
    assert symmetric_cross_entropy(logits).item() == pytest.approx(expected, rel=1e-5)
    assert symmetric_cross_entropy(100 * torch.eye(5)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("weight", [None, 0.5, 0.2])
def test_the_loss_is_the_weighted_sum_of_its_parts(weight: float | None) -> None:
    torch.manual_seed(0)
    video, audio = torch.randn(2, 3, 8), torch.randn(2, 4, 6)
    targets = Targets(video=torch.randn(2, 3, 8), audio=torch.randn(2, 4, 6))
    logits = [torch.randn(2, 2), torch.randn(2, 2)]
    config = PretrainLossConfig(contrastive_weight=0.1, difference_weight=weight)
    losses = pretraining_loss(video, audio, logits, targets, 2, config)

    def mean_square(predicted: Tensor, target: Tensor) -> float:
        pairs = zip(predicted.flatten().tolist(), target.flatten().tolist(), strict=True)
        return statistics.mean((p - t) ** 2 for p, t in pairs)

    first = mean_square(video[..., :4], targets.video[..., :4])
    later = mean_square(video[..., 4:], targets.video[..., 4:])
    share = 0.5 if weight is None else weight
    assert losses.video.item() == pytest.approx((1 - share) * first + share * later, rel=1e-5)
    assert losses.audio.item() == pytest.approx(mean_square(audio, targets.audio), rel=1e-5)
    contrast = sum(
        (plain_cross_entropy(one.tolist()) + plain_cross_entropy(one.T.tolist())) / 2 for one in logits
    )
    assert losses.contrastive.item() == pytest.approx(contrast, rel=1e-5)
    total = losses.video.item() + losses.audio.item() + 0.1 * contrast
    assert losses.total.item() == pytest.approx(total, rel=1e-5)


def test_without_intermediate_layers_there_is_no_contrast() -> None:
    targets = Targets(video=torch.zeros(2, 3, 8), audio=torch.zeros(2, 4, 6))
    losses = pretraining_loss(torch.ones(2, 3, 8), torch.ones(2, 4, 6), [], targets, 2, PretrainLossConfig())
    assert losses.total.item() == 2.0
    assert losses.contrastive.item() == 0.0
