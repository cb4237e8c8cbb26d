"""Tokens, attention, MLP and the two pre-norm blocks that HiCMAE and VideoMAEv2 are made of.

B batch, N tokens, C context tokens, D width, H heads, K width of a head; of an input: C channels, T frames,
H height, W width, S spectrogram frames, F mel bins. Parameter names are those of the official checkpoints of
both networks, which share this code.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from blended.data.errors import InputError
from blended.encoders.networks.config import BlockConfig, Pair

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


MAX_LOG_SCALE = 4.6052
"""Cosine attention: the logits are multiplied by at most 100."""


def drop_path(
    branch_BND: Float[Tensor, "batch tokens dim"], rate: float, training: bool
) -> Float[Tensor, "batch tokens dim"]:
    """Drops the whole branch of random samples in training and scales the others up to the same mean."""
    if not training or rate == 0.0:
        return branch_BND
    kept_B11 = branch_BND.new_empty(len(branch_BND), 1, 1).bernoulli_(1.0 - rate)
    return branch_BND * kept_B11 / (1.0 - rate)


class Attention(nn.Module):
    """Self-attention with biases on queries and values only, by dot product or (VideoMAEv2) by cosine.

    Where the heads do not divide the width evenly they are narrower together, as in the official code.
    """

    def __init__(self, dim: int, num_heads: int, config: BlockConfig, *, cosine: bool = False) -> None:
        super().__init__()
        self.num_heads = num_heads
        head_dim = dim // num_heads
        inner_dim = head_dim * num_heads
        self.attn_drop_rate = config.attn_drop_rate
        self.dot_scale = 1.0 if cosine else config.qk_scale or head_dim**-0.5
        self.scale = nn.Parameter(torch.full((num_heads, 1, 1), math.log(10.0))) if cosine else None
        self.qkv = nn.Linear(dim, 3 * inner_dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(inner_dim)) if config.qkv_bias else None
        self.v_bias = nn.Parameter(torch.zeros(inner_dim)) if config.qkv_bias else None
        self.proj = nn.Linear(inner_dim, dim)
        self.proj_drop = nn.Dropout(config.drop_rate)

    def forward(self, x_BND: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Every token attends to every token."""
        bias = None
        if self.q_bias is not None and self.v_bias is not None:
            bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        qkv_BN3HK = functional.linear(x_BND, self.qkv.weight, bias).unflatten(-1, (3, self.num_heads, -1))
        q_BHNK, k_BHNK, v_BHNK = qkv_BN3HK.permute(2, 0, 3, 1, 4).unbind(0)
        if self.scale is not None:
            factor_H11 = self.scale.clamp(max=MAX_LOG_SCALE).exp()
            q_BHNK = functional.normalize(q_BHNK, dim=-1) * factor_H11
            k_BHNK = functional.normalize(k_BHNK, dim=-1)
        rate = self.attn_drop_rate if self.training else 0.0
        y_BHNK = functional.scaled_dot_product_attention(
            q_BHNK, k_BHNK, v_BHNK, dropout_p=rate, scale=self.dot_scale
        )
        return self.proj_drop(self.proj(y_BHNK.transpose(1, 2).flatten(2)))


class CrossAttention(nn.Module):
    """Tokens attend to those of a context of another width."""

    def __init__(self, dim: int, context_dim: int, num_heads: int, config: BlockConfig) -> None:
        super().__init__()
        self.num_heads = num_heads
        head_dim = dim // num_heads
        inner_dim = head_dim * num_heads
        self.attn_drop_rate = config.attn_drop_rate
        self.dot_scale = config.qk_scale or head_dim**-0.5
        self.q = nn.Linear(dim, inner_dim, bias=False)
        self.kv = nn.Linear(context_dim, 2 * inner_dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(inner_dim)) if config.qkv_bias else None
        self.v_bias = nn.Parameter(torch.zeros(inner_dim)) if config.qkv_bias else None
        self.proj = nn.Linear(inner_dim, dim)
        self.proj_drop = nn.Dropout(config.drop_rate)

    def forward(
        self,
        x_BND: Float[Tensor, "batch tokens dim"],
        context_BCD: Float[Tensor, "batch context_tokens context_dim"],
    ) -> Float[Tensor, "batch tokens dim"]:
        """Queries from `x_BND`, keys and values from `context_BCD`."""
        kv_bias = None
        if self.v_bias is not None:
            kv_bias = torch.cat([torch.zeros_like(self.v_bias), self.v_bias])
        q_BNHK = functional.linear(x_BND, self.q.weight, self.q_bias).unflatten(-1, (self.num_heads, -1))
        kv_BC2HK = functional.linear(context_BCD, self.kv.weight, kv_bias).unflatten(
            -1, (2, self.num_heads, -1)
        )
        k_BHCK, v_BHCK = kv_BC2HK.permute(2, 0, 3, 1, 4).unbind(0)
        rate = self.attn_drop_rate if self.training else 0.0
        y_BHNK = functional.scaled_dot_product_attention(
            q_BNHK.transpose(1, 2), k_BHCK, v_BHCK, dropout_p=rate, scale=self.dot_scale
        )
        return self.proj_drop(self.proj(y_BHNK.transpose(1, 2).flatten(2)))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them; dropout only at the end."""

    def __init__(self, dim: int, hidden_dim: int, drop_rate: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)
        self.drop = nn.Dropout(drop_rate)

    def forward(self, x_BND: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Acts on each token alone."""
        return self.drop(self.fc2(functional.gelu(self.fc1(x_BND))))


class Block(nn.Module):
    """Self-attention, then MLP, each on normalised tokens and added to them."""

    def __init__(
        self, dim: int, num_heads: int, config: BlockConfig, drop_path_rate: float, *, cosine: bool = False
    ) -> None:
        super().__init__()
        self.drop_path_rate = drop_path_rate
        self.norm1 = nn.LayerNorm(dim, eps=config.norm_eps)
        self.attn = Attention(dim, num_heads, config, cosine=cosine)
        self.norm2 = nn.LayerNorm(dim, eps=config.norm_eps)
        self.mlp = Mlp(dim, int(dim * config.mlp_ratio), config.drop_rate)
        self.gamma_1 = _layer_scale(dim, config)
        self.gamma_2 = _layer_scale(dim, config)

    def forward(self, x_BND: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """The tokens after this block."""
        x_BND = _add(x_BND, self.attn(self.norm1(x_BND)), self.gamma_1, self.drop_path_rate, self.training)
        return _add(x_BND, self.mlp(self.norm2(x_BND)), self.gamma_2, self.drop_path_rate, self.training)


class CrossBlock(nn.Module):
    """Cross-attention to a context, then what a Block does."""

    def __init__(
        self, dim: int, context_dim: int, num_heads: int, config: BlockConfig, drop_path_rate: float
    ) -> None:
        super().__init__()
        self.drop_path_rate = drop_path_rate
        self.cross_attn = CrossAttention(dim, context_dim, num_heads, config)
        self.cross_norm1 = nn.LayerNorm(dim, eps=config.norm_eps)
        self.cross_norm2 = nn.LayerNorm(context_dim, eps=config.norm_eps)
        self.norm1 = nn.LayerNorm(dim, eps=config.norm_eps)
        self.attn = Attention(dim, num_heads, config)
        self.norm2 = nn.LayerNorm(dim, eps=config.norm_eps)
        self.mlp = Mlp(dim, int(dim * config.mlp_ratio), config.drop_rate)
        self.gamma_0 = _layer_scale(dim, config)
        self.gamma_1 = _layer_scale(dim, config)
        self.gamma_2 = _layer_scale(dim, config)

    def forward(
        self,
        x_BND: Float[Tensor, "batch tokens dim"],
        context_BCD: Float[Tensor, "batch context_tokens context_dim"],
    ) -> Float[Tensor, "batch tokens dim"]:
        """The tokens after this block; the context stays as it is."""
        crossed_BND = self.cross_attn(self.cross_norm1(x_BND), self.cross_norm2(context_BCD))
        x_BND = _add(x_BND, crossed_BND, self.gamma_0, self.drop_path_rate, self.training)
        x_BND = _add(x_BND, self.attn(self.norm1(x_BND)), self.gamma_1, self.drop_path_rate, self.training)
        return _add(x_BND, self.mlp(self.norm2(x_BND)), self.gamma_2, self.drop_path_rate, self.training)


def init_xavier(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases in every linear layer inside `module`."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            _zero_bias(part)


def init_truncated(module: nn.Module, std: float = 0.02) -> None:
    """Truncated-normal weights and zero biases in every linear layer inside `module`."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=std)
            _zero_bias(part)


def _zero_bias(layer: nn.Linear) -> None:
    # torch declares the bias of a linear layer as always there; without one it is None.
    for name, parameter in layer.named_parameters():
        if name == "bias":
            nn.init.zeros_(parameter)


def _layer_scale(dim: int, config: BlockConfig) -> nn.Parameter | None:
    return nn.Parameter(torch.full((dim,), config.init_values)) if config.init_values > 0 else None


def _add(x_BND: Tensor, branch_BND: Tensor, gamma_D: Tensor | None, rate: float, training: bool) -> Tensor:
    scaled_BND = branch_BND if gamma_D is None else gamma_D * branch_BND
    return x_BND + drop_path(scaled_BND, rate, training)
