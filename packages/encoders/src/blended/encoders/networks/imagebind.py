"""The vision and audio trunks of ImageBind: images, clips and sounds -> one embedding space.

B batch, C channels, N tokens (the class token first), D width, H heads, K width of a head, E embedding,
Y X rows and columns of tokens.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from blended.data.errors import InputError
from blended.encoders.networks.blocks import Mlp, drop_path, init_xavier
from blended.encoders.networks.config import ImageBindConfig


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


AUDIO_SCALE = 20.0
"""Audio embeddings are multiplied by this after normalisation."""
MAX_SCALE = 100.0
MLP_RATIO = 4
NORM_EPS = 1e-6
NOT_BUILT = tuple(
    f"modality_{part}.{modality}."
    for part in ("preprocessors", "trunks", "heads", "postprocessors")
    for modality in ("text", "depth", "thermal", "imu")
)
"""How the parameters of other modalities begin: the `ignored` of `load_state` for the official checkpoint."""


class SelfAttention(nn.Module):
    """Attention with biases everywhere, under the names of torch's MultiheadAttention.

    With `extra_token` one learned key and value, the same for every input, stand beside those of the tokens.
    """

    def __init__(self, dim: int, num_heads: int, *, extra_token: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        self.bias_k = nn.Parameter(torch.empty(1, 1, dim)) if extra_token else None
        self.bias_v = nn.Parameter(torch.empty(1, 1, dim)) if extra_token else None
        nn.init.xavier_uniform_(self.in_proj_weight)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                nn.init.xavier_normal_(extra)

    def forward(self, x_BND: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Every token attends to every token."""
        q_BND, k_BND, v_BND = functional.linear(x_BND, self.in_proj_weight, self.in_proj_bias).chunk(
            3, dim=-1
        )
        if self.bias_k is not None and self.bias_v is not None:
            k_BND = torch.cat([k_BND, self.bias_k.expand(len(x_BND), -1, -1)], dim=1)
            v_BND = torch.cat([v_BND, self.bias_v.expand(len(x_BND), -1, -1)], dim=1)
        q_BHNK, k_BHNK, v_BHNK = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (q_BND, k_BND, v_BND)
        )
        y_BHNK = functional.scaled_dot_product_attention(q_BHNK, k_BHNK, v_BHNK)
        return self.out_proj(y_BHNK.transpose(1, 2).flatten(2))


class TrunkBlock(nn.Module):
    """Self-attention, then MLP, each on normalised tokens and added to them."""

    def __init__(self, dim: int, num_heads: int, drop_path_rate: float, *, extra_token: bool) -> None:
        super().__init__()
        self.drop_path_rate = drop_path_rate
        self.attn = SelfAttention(dim, num_heads, extra_token=extra_token)
        self.norm_1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, MLP_RATIO * dim)
        self.norm_2 = nn.LayerNorm(dim, eps=NORM_EPS)

    def forward(self, x_BND: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """The tokens after this block."""
        x_BND = x_BND + drop_path(self.attn(self.norm_1(x_BND)), self.drop_path_rate, self.training)
        return x_BND + drop_path(self.mlp(self.norm_2(x_BND)), self.drop_path_rate, self.training)


class Trunk(nn.Module):
    """A stack of blocks; vision has a norm before it, audio an extra key and value in each attention."""

    def __init__(
        self, dim: int, num_blocks: int, num_heads: int, drop_path_rate: float, *, vision: bool
    ) -> None:
        super().__init__()
        norm = nn.LayerNorm(dim, eps=NORM_EPS) if vision else nn.Identity()
        self.pre_transformer_layer = nn.Sequential(norm)
        self.blocks = nn.Sequential(
            *(
                TrunkBlock(
                    dim, num_heads, drop_path_rate * i / max(num_blocks - 1, 1), extra_token=not vision
                )
                for i in range(num_blocks)
            )
        )
        init_xavier(self)

    def forward(self, x_BND: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """The tokens after all blocks."""
        return self.blocks(self.pre_transformer_layer(x_BND))


class ClassToken(nn.Module):
    """Picks the class token."""

    def forward(self, x_BND: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch dim"]:
        """The first token."""
        return x_BND[:, 0]


class UnitLength(nn.Module):
    """Divides by the Euclidean length."""

    def forward(self, x_BE: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """Rows of length 1."""
        return functional.normalize(x_BE, dim=-1)


class FixedScale(nn.Module):
    """Multiplies by a factor that the checkpoint holds as its logarithm."""

    log_logit_scale: Tensor

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.register_buffer("log_logit_scale", torch.tensor(math.log(scale)))

    def forward(self, x_BE: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """The scaled rows; the factor is at most 100."""
        return self.log_logit_scale.exp().clamp(max=MAX_SCALE) * x_BE


class ImageBind(nn.Module):
    """Embeds images and clips (unit length) and sounds (length 20) into one space."""

    def __init__(self, config: ImageBindConfig) -> None:
        super().__init__()
        self.config = config
        vision_dim, audio_dim, out_dim = config.vision_embed_dim, config.audio_embed_dim, config.out_embed_dim
        self.modality_preprocessors = nn.ModuleDict(
            {
                "vision": vision_preprocessor(config),
                "audio": audio_preprocessor(config),
            }
        )
        self.modality_trunks = nn.ModuleDict(
            {
                "vision": Trunk(
                    vision_dim, config.vision_num_blocks, config.vision_num_heads, 0.0, vision=True
                ),
                "audio": Trunk(
                    audio_dim,
                    config.audio_num_blocks,
                    config.audio_num_heads,
                    config.audio_drop_path,
                    vision=False,
                ),
            }
        )
        self.modality_heads = nn.ModuleDict(
            {"vision": _head(vision_dim, out_dim), "audio": _head(audio_dim, out_dim)}
        )
        self.modality_postprocessors = nn.ModuleDict(
            {"vision": UnitLength(), "audio": nn.Sequential(UnitLength(), FixedScale(AUDIO_SCALE))}
        )

    def vision(self, inputs: Float[Tensor, "batch *input"]) -> Float[Tensor, "batch embedding"]:
        """Images [batch, 3, height, width], or clips [batch, clips, 3, frames, height, width].

        Clips are embedded one by one and their unit vectors averaged. Raises InputError for other shapes.
        """
        return self._embed("vision", inputs)

    def audio(self, inputs: Float[Tensor, "batch *input"]) -> Float[Tensor, "batch embedding"]:
        """Spectrograms [batch, 1, mel bins, frames], or several each [batch, clips, 1, mel bins, frames].

        Several are embedded one by one and their scaled vectors averaged. Raises InputError for other shapes.
        """
        return self._embed("audio", inputs)

    def _embed(self, modality: str, inputs: Tensor) -> Tensor:
        has_clips = inputs.ndim >= 5
        merged = inputs.flatten(0, 1) if has_clips else inputs
        channels = 3 if modality == "vision" else 1
        if merged.ndim not in ((4, 5) if modality == "vision" else (4,)) or merged.shape[1] != channels:
            raise InputError(
                f"{modality} input of shape {list(inputs.shape)}; expected [batch, {channels}, height, "
                "width], with clips as second axis and, for video, frames after the channels"
            )
        x_BND = self.modality_trunks[modality](self.modality_preprocessors[modality](merged))
        x_BE = self.modality_postprocessors[modality](self.modality_heads[modality](x_BND))
        return x_BE.unflatten(0, inputs.shape[:2]).mean(dim=1) if has_clips else x_BE


def _head(dim: int, out_dim: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(dim, eps=NORM_EPS), ClassToken(), nn.Linear(dim, out_dim, bias=False))
