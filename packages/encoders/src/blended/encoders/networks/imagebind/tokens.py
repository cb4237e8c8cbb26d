"""Images, clips and spectrograms to tokens, with a class token and learned positions.

B batch, C channels, N tokens (the class token first), D width, Y X rows and columns of tokens.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from blended.data.errors import InputError
from blended.encoders.networks.imagebind.config import ImageBindConfig


class RepeatImage(nn.Module):
    """Makes an image, or a clip of one frame, a clip of two equal frames."""

    def forward(
        self, vision: Float[Tensor, "batch channels *extent"]
    ) -> Float[Tensor, "batch channels t h w"]:
        """[batch, channels, height, width] or [batch, channels, frames, height, width]."""
        clip = vision.unsqueeze(2) if vision.ndim == 4 else vision
        return clip.repeat(1, 1, 2, 1, 1) if clip.shape[2] == 1 else clip


class Stem(nn.Module):
    """A convolution without bias that makes tokens, and for audio a norm."""

    def __init__(self, proj: nn.Module, norm_layer: nn.Module | None) -> None:
        super().__init__()
        self.proj = proj
        self.norm_layer = norm_layer

    def forward(self, inputs: Float[Tensor, "batch channels *extent"]) -> Float[Tensor, "batch tokens dim"]:
        """Tokens in the order of the last axes of the input."""
        x_BND = self.proj(inputs).flatten(2).transpose(1, 2)
        return x_BND if self.norm_layer is None else self.norm_layer(x_BND)


class Positions(nn.Module):
    """Learned positions of the class token and of a grid of tokens; those of square images can be resized."""

    def __init__(self, grid: tuple[int, ...], dim: int) -> None:
        super().__init__()
        self.grid = grid
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + math.prod(grid), dim) * dim**-0.5)

    def fitted(self, num_tokens: int, inputs: Tensor) -> Float[Tensor, "1 tokens dim"]:
        """Positions for the `num_tokens` tokens of `inputs`; raises InputError where none can be made."""
        if num_tokens == self.pos_embed.shape[1]:
            return self.pos_embed
        own_1ND, rows = self.pos_embed[:, 1:], self.grid[-2]
        # Space can be resized, time cannot: what comes must make one time step.
        one_step = inputs.ndim == 4 or (self.grid[0] == 1 and inputs.shape[2] <= 2)
        is_square = len(self.grid) == 3 and self.grid[-1] == rows
        side = math.isqrt(num_tokens - 1)
        if not (one_step and is_square) or side**2 != num_tokens - 1:
            raise InputError(
                f"an input of {list(inputs.shape[1:])} makes {num_tokens - 1} tokens, and this network has "
                f"positions for a grid of {self.grid}; resize, pad or cut the input first"
            )
        # It gets the positions of the first time step.
        first_1DYX = own_1ND[:, : rows**2].transpose(1, 2).unflatten(2, (rows, rows))
        if side != rows:
            first_1DYX = functional.interpolate(first_1DYX, scale_factor=side / rows, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], first_1DYX.flatten(2).transpose(1, 2)], dim=1)


class Preprocessor(nn.Module):
    """Input of one modality to tokens: the class token first, positions added."""

    def __init__(self, stem: Stem, grid: tuple[int, ...], dim: int) -> None:
        super().__init__()
        self.rgbt_stem = stem
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim) * dim**-0.5)
        self.pos_embedding_helper = Positions(grid, dim)

    def forward(self, inputs: Float[Tensor, "batch channels *extent"]) -> Float[Tensor, "batch tokens dim"]:
        """Raises InputError for an input that the positions do not fit."""
        x_BND = self.rgbt_stem(inputs)
        x_BND = torch.cat([self.cls_token.expand(len(x_BND), -1, -1), x_BND], dim=1)
        return x_BND + self.pos_embedding_helper.fitted(x_BND.shape[1], inputs)


def vision_preprocessor(config: ImageBindConfig) -> Preprocessor:
    """Tokens of images and clips."""
    kernel, dim = config.kernel_size, config.vision_embed_dim
    conv = nn.Conv3d(3, dim, kernel_size=kernel, stride=kernel, bias=False)
    return Preprocessor(Stem(nn.Sequential(RepeatImage(), conv), None), config.vision_grid, dim)


def audio_preprocessor(config: ImageBindConfig) -> Preprocessor:
    """Tokens of spectrograms; neighbours overlap."""
    dim = config.audio_embed_dim
    conv = nn.Conv2d(1, dim, kernel_size=config.audio_kernel_size, stride=config.audio_stride, bias=False)
    return Preprocessor(Stem(conv, nn.LayerNorm(dim)), config.audio_grid, dim)
