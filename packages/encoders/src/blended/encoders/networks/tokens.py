"""Cutting video and spectrograms into tokens, and the fixed table of their positions.

B batch, C channels, T frames, H height, W width, S spectrogram frames, F mel bins, N tokens, D width.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blended.data.errors import InputError
from blended.encoders.networks.config import Pair

POSITION_BASE = 10000.0
"""The longest wavelength of the position table is 2 pi times this many tokens."""


def sinusoid_table(num_tokens: int, dim: int) -> Float[Tensor, "1 tokens dim"]:
    """Fixed positions: sine in even and cosine in odd columns, one frequency per pair of columns."""
    position_N1 = torch.arange(num_tokens, dtype=torch.float64)[:, None]
    column_D = torch.arange(dim)
    exponent_D = 2 * (column_D // 2) / dim
    angle_ND = position_N1 / torch.pow(POSITION_BASE, exponent_D.double())
    table_ND = torch.where(column_D % 2 == 0, angle_ND.sin(), angle_ND.cos())
    return table_ND.float()[None]


class TubeEmbed(nn.Module):
    """Video to tokens: one linear map of each tube of `tubelet_size` frames and `patch_size` pixels.

    Tokens are ordered by time, then row, then column.
    """

    def __init__(
        self, size: Pair, patch_size: Pair, num_frames: int, tubelet_size: int, in_chans: int, dim: int
    ) -> None:
        super().__init__()
        self.size = size
        self.grid = (num_frames // tubelet_size, size[0] // patch_size[0], size[1] // patch_size[1])
        self.tubelet_size = tubelet_size
        tube = (tubelet_size, *patch_size)
        self.proj = nn.Conv3d(in_chans, dim, kernel_size=tube, stride=tube)

    def forward(
        self, video_BCTHW: Float[Tensor, "batch channels frames height width"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """Raises InputError unless the video has the frames and the size that the positions are for."""
        _, channels, frames, height, width = video_BCTHW.shape
        fits = (height, width) == self.size and frames // self.tubelet_size == self.grid[0]
        if not fits or channels != self.proj.in_channels:
            raise InputError(
                f"video of {channels} channels, {frames} frames and {height} x {width} pixels; this network "
                f"takes {self.proj.in_channels} channels, {self.grid[0] * self.tubelet_size} frames and "
                f"{self.size[0]} x {self.size[1]} pixels: resample and resize first"
            )
        return self.proj(video_BCTHW).flatten(2).transpose(1, 2)


class PatchEmbed(nn.Module):
    """Spectrogram to tokens: one linear map of each patch. Tokens are ordered by time, then frequency."""

    def __init__(self, size: Pair, patch_size: Pair, in_chans: int, dim: int) -> None:
        super().__init__()
        self.grid = (size[0] // patch_size[0], size[1] // patch_size[1])
        self.patch_size = patch_size
        self.proj = nn.Conv2d(in_chans, dim, kernel_size=patch_size, stride=patch_size)

    def forward(
        self, audio_BCSF: Float[Tensor, "batch channels frames bins"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """Raises InputError unless the spectrogram has the frames and bins that the positions are for."""
        _, channels, frames, bins = audio_BCSF.shape
        grid = (frames // self.patch_size[0], bins // self.patch_size[1])
        if grid != self.grid or channels != self.proj.in_channels:
            expected = [length * patch for length, patch in zip(self.grid, self.patch_size, strict=True)]
            raise InputError(
                f"spectrogram of {channels} channels, {frames} frames and {bins} mel bins; this network "
                f"takes {self.proj.in_channels} channels, {expected[0]} frames and {expected[1]} mel bins: "
                "pad or cut first"
            )
        return self.proj(audio_BCSF).flatten(2).transpose(1, 2)
