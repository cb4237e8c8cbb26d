"""How large VideoMAEv2, ImageBind and speech networks are, and what our blocks share: records, no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)


def _as_pair(value: object) -> object:
    return (value, value) if isinstance(value, int) else value


Pair = Annotated[tuple[PositiveInt, PositiveInt], BeforeValidator(_as_pair)]
"""Two lengths along (height, width) or (time, frequency); one number stands for both."""

Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
"""The share of values or branches that training drops, from 0 to below 1; nothing is dropped in eval mode."""


class BlockConfig(BaseModel):
    """What all transformer blocks of one network have in common (HiCMAE and VideoMAEv2)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mlp_ratio: PositiveFloat = 4.0
    """Hidden width of the MLP over the width of the block; the product is cut to an integer."""
    qkv_bias: bool = True
    """Learned biases on queries and values (keys never have one)."""
    qk_scale: float | None = None
    """Factor on the attention logits; None or 0 stand for 1 / sqrt(width of a head)."""
    drop_rate: Rate = 0.0
    """Dropout after the attention projection and after the MLP."""
    attn_drop_rate: Rate = 0.0
    """Dropout on the attention weights."""
    drop_path_rate: Rate = 0.0
    """Share of residual branches dropped in the last block, rising linearly from 0 in the first."""
    init_values: float = Field(default=0.0, ge=0.0)
    """Initial layer scale; 0 for none."""
    norm_eps: PositiveFloat = 1e-6
    """Added to the variance in every LayerNorm."""

    def drop_path_rates(self, depth: int) -> list[float]:
        """The rate of each of `depth` blocks.

        >>> BlockConfig(drop_path_rate=0.2).drop_path_rates(3)
        [0.0, 0.1, 0.2]
        """
        return [self.drop_path_rate * i / max(depth - 1, 1) for i in range(depth)]


class VideoMAEv2Config(BaseModel):
    """How large a VideoMAEv2 is; the defaults are the base network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    img_size: Pair = (224, 224)
    """(height, width) in pixels."""
    patch_size: Pair = (16, 16)
    """Pixels in one token."""
    in_chans: PositiveInt = 3
    """Channels of the video."""
    num_frames: PositiveInt = 16
    """Frames in one clip."""
    tubelet_size: PositiveInt = 2
    """Frames in one token, at most `num_frames`."""
    embed_dim: PositiveInt = 768
    """Width of a token."""
    depth: NonNegativeInt = 12
    """Blocks."""
    num_heads: PositiveInt = 12
    """Attention heads, at most `embed_dim`."""
    num_classes: NonNegativeInt = 0
    """Outputs of the head; 0 for no head, then the logits are the features."""
    mean_pooling: bool = True
    """Features are the mean token, then `fc_norm`; else the first token after `norm`."""
    cosine_attention: bool = False
    """Attention by cosine and a learned factor instead of by dot product."""
    learned_positions: bool = False
    """Learned positions, part of the checkpoint; else the fixed sine table, which is not."""
    head_drop_rate: Rate = 0.0
    """Dropout before the head."""
    init_scale: float = 0.001
    """Factor on the initial weights of the head."""
    blocks: BlockConfig = BlockConfig()

    @model_validator(mode="after")
    def _fits(self) -> "VideoMAEv2Config":
        if self.num_heads > self.embed_dim:
            raise ValueError(f"{self.num_heads} heads do not fit into a width of {self.embed_dim}")
        if self.tubelet_size > self.num_frames:
            raise ValueError(f"tubes of {self.tubelet_size} frames do not fit into {self.num_frames} frames")
        if self.patch_size[0] > self.img_size[0] or self.patch_size[1] > self.img_size[1]:
            raise ValueError(f"patches of {self.patch_size} do not fit into an input of {self.img_size}")
        if self.cosine_attention and self.blocks.qk_scale is not None:
            raise ValueError(
                "cosine attention learns its factor, and a fixed qk_scale does not run officially"
            )
        return self


VIDEOMAE2_SIZES = {
    "base": VideoMAEv2Config(),
    "giant": VideoMAEv2Config(
        patch_size=(14, 14), embed_dim=1408, depth=40, num_heads=16, blocks=BlockConfig(mlp_ratio=48 / 11)
    ),
}
"""Without a head; set `num_classes` to that of the checkpoint (710, 400, 174, ...)."""


IMAGE_SIZE = 224
"""Height and width in pixels that the learned positions are for."""


def _as_triple(value: object) -> object:
    return (value, value, value) if isinstance(value, int) else value


Triple = Annotated[tuple[PositiveInt, PositiveInt, PositiveInt], BeforeValidator(_as_triple)]
"""Lengths along (time, height, width); one number stands for all three."""


class ImageBindConfig(BaseModel):
    """How large an ImageBind is; the defaults are the huge network, the only published one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    video_frames: PositiveInt = 2
    """Frames in a clip; an image is repeated to two."""
    kernel_size: Triple = (2, 14, 14)
    """(frames, height, width) of one vision token."""
    out_embed_dim: PositiveInt = 1024
    """Width of the embedding."""
    vision_embed_dim: PositiveInt = 1280
    """Width of a vision token, a multiple of `vision_num_heads`."""
    vision_num_blocks: NonNegativeInt = 32
    """Blocks of the vision trunk."""
    vision_num_heads: PositiveInt = 16
    """Attention heads of the vision trunk."""
    audio_kernel_size: Pair = (16, 16)
    """(mel bins, frames) of one audio token."""
    audio_stride: Pair = (10, 10)
    """(mel bins, frames) from one audio token to the next."""
    audio_embed_dim: PositiveInt = 768
    """Width of an audio token, a multiple of `audio_num_heads`."""
    audio_num_blocks: NonNegativeInt = 12
    """Blocks of the audio trunk."""
    audio_num_heads: PositiveInt = 12
    """Attention heads of the audio trunk."""
    audio_num_mel_bins: PositiveInt = 128
    """Height of a spectrogram."""
    audio_target_len: PositiveInt = 204
    """Spectrogram frames of 10 ms."""
    audio_drop_path: Rate = 0.1
    """Share of residual branches dropped in the last audio block, rising linearly from 0 in the first."""

    @model_validator(mode="after")
    def _fits(self) -> "ImageBindConfig":
        for dim, heads in (
            (self.vision_embed_dim, self.vision_num_heads),
            (self.audio_embed_dim, self.audio_num_heads),
        ):
            if dim % heads:
                raise ValueError(f"{heads} heads do not divide a width of {dim}")
        if min(self.vision_grid + self.audio_grid) < 1:
            raise ValueError("a token is larger than the input")
        return self

    @property
    def vision_grid(self) -> tuple[int, int, int]:
        """Vision tokens along (time, height, width)."""
        time, height, width = self.kernel_size
        # A single frame is repeated to two.
        return max(self.video_frames, 2) // time, IMAGE_SIZE // height, IMAGE_SIZE // width

    @property
    def audio_grid(self) -> tuple[int, int]:
        """Audio tokens along (mel bins, frames)."""
        (bins, frames), (over_bins, over_frames) = self.audio_kernel_size, self.audio_stride
        return (
            (self.audio_num_mel_bins - bins) // over_bins + 1,
            (self.audio_target_len - frames) // over_frames + 1,
        )


Normalise = Literal["as-trained", "always"]
"""Whether waveforms are scaled to zero mean and unit variance: as the network was trained, or always, which
keeps very quiet recordings above the epsilons of a network that was trained without."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """How large a speech network of transformers is: WavLM, HuBERT, wav2vec 2.0."""

    family: Literal["WavLM", "Hubert", "Wav2Vec2"]
    """Prefix of transformers' classes."""
    num_layers: int
    dim: int
    normalise: bool
    """Whether it was trained on waveforms of zero mean and unit variance."""
    num_parameters: int
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What differs from the defaults of transformers' config, which are the base networks."""

    def config(self, *, conv_bias: bool = False) -> Any:
        """The config of transformers. Masking is for training, and would add a parameter."""
        import transformers

        fields = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0, "layerdrop": 0.0, **self.fields}
        return getattr(transformers, f"{self.family}Config")(**fields, conv_bias=conv_bias)

    def model(self) -> Any:
        """The class of transformers."""
        import transformers

        return getattr(transformers, f"{self.family}Model")
