"""Cutting into tokens, against loops."""

import math

import pytest
import torch

from blended.data.errors import InputError
from blended.encoders.networks.blocks import PatchEmbed, TubeEmbed, sinusoid_table


@pytest.mark.parametrize("dim", [6, 7])
def test_positions_are_interleaved_sines_and_cosines(dim: int) -> None:
    expected = [
        [
            (math.sin if column % 2 == 0 else math.cos)(position / 10000 ** (2 * (column // 2) / dim))
            for column in range(dim)
        ]
        for position in range(50)
    ]
    torch.testing.assert_close(sinusoid_table(50, dim)[0], torch.tensor(expected))


def test_tubes_are_ordered_by_time_row_and_column() -> None:
    embed = TubeEmbed((4, 6), (2, 3), num_frames=4, tubelet_size=2, in_chans=3, dim=5)
    video = torch.randn(1, 3, 4, 4, 6)
    tokens = embed(video)[0]
    assert embed.grid == (2, 2, 2)
    weight = embed.proj.weight.flatten(1)
    bias = embed.proj.bias
    assert bias is not None
    index = 0
    for t in range(2):
        for row in range(2):
            for column in range(2):
                tube = video[0, :, 2 * t : 2 * t + 2, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3]
                torch.testing.assert_close(tokens[index], weight @ tube.flatten() + bias)
                index += 1


@pytest.mark.parametrize("shape", [(1, 3, 6, 4, 6), (1, 3, 4, 6, 4), (1, 1, 4, 4, 6)])
def test_a_video_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    embed = TubeEmbed((4, 6), (2, 3), num_frames=4, tubelet_size=2, in_chans=3, dim=5)
    with pytest.raises(
        InputError, match="this network takes 3 channels, 4 frames and 4 x 6 pixels: resample"
    ):
        embed(torch.zeros(shape))


def test_a_spectrogram_of_another_shape_is_refused() -> None:
    embed = PatchEmbed((8, 4), (2, 2), in_chans=1, dim=5)
    assert embed(torch.zeros(2, 1, 8, 4)).shape == (2, 8, 5)
    with pytest.raises(
        InputError, match=r"of 1 channels, 4 frames and 8 mel bins; .* 8 frames and 4 mel bins"
    ):
        embed(torch.zeros(2, 1, 4, 8))
