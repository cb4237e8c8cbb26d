"""How large a HiCMAE is. The defaults are what was published; plain records, no torch."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from blended.data.errors import unknown_name
from blended.encoders.networks.config import BlockConfig, Pair


class StreamConfig(BaseModel):
    """One modality: how its input is cut into tokens, and how wide and deep its encoder is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Pair
    """Video: (height, width) in pixels. Audio: (frames, mel bins)."""
    in_chans: PositiveInt
    """3 for colour video, 1 for a spectrogram."""
    dim: PositiveInt
    """Width of a token."""
    num_heads: PositiveInt
    """Attention heads, at most `dim`."""
    depth: NonNegativeInt = 10
    """Blocks in the encoder."""
    patch_size: Pair = (16, 16)
    """Pixels, or (frames, mel bins), in one token."""

    @model_validator(mode="after")
    def _fits(self) -> "StreamConfig":
        if self.num_heads > self.dim:
            raise ValueError(f"{self.num_heads} heads do not fit into a width of {self.dim}")
        if self.patch_size[0] > self.size[0] or self.patch_size[1] > self.size[1]:
            raise ValueError(f"patches of {self.patch_size} do not fit into an input of {self.size}")
        return self

    @property
    def grid(self) -> tuple[int, int]:
        """Tokens along the two axes of `size`."""
        return self.size[0] // self.patch_size[0], self.size[1] // self.patch_size[1]


class BackboneConfig(BaseModel):
    """The part that pre-training and fine-tuning share: two encoders and the one that fuses them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    video: StreamConfig
    audio: StreamConfig
    num_frames: PositiveInt = 16
    """Video frames in one clip."""
    tubelet_size: PositiveInt = 2
    """Video frames in one token, at most `num_frames`."""
    fusion_depth: NonNegativeInt = 2
    """Pairs of cross blocks in the fusion encoder."""
    fusion_num_heads: PositiveInt
    """Heads of each attention in the fusion encoder, at most the smaller width."""
    blocks: BlockConfig = BlockConfig()

    @model_validator(mode="after")
    def _fits(self) -> "BackboneConfig":
        if self.tubelet_size > self.num_frames:
            raise ValueError(f"tubes of {self.tubelet_size} frames do not fit into {self.num_frames} frames")
        if self.fusion_num_heads > min(self.video.dim, self.audio.dim):
            raise ValueError(
                f"{self.fusion_num_heads} fusion heads do not fit into widths of {self.video.dim} "
                f"and {self.audio.dim}"
            )
        return self

    @property
    def video_grid(self) -> tuple[int, int, int]:
        """Video tokens along (time, height, width)."""
        return (self.num_frames // self.tubelet_size, *self.video.grid)


class FinetuneConfig(BaseModel):
    """The classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: BackboneConfig
    num_classes: NonNegativeInt
    """Outputs of the head; 0 for no head, then the logits are the features."""
    head_activation: Literal["sigmoid", "relu", "tanh"] | None = None
    """Applied to the outputs of the head, for regression."""

    @model_validator(mode="after")
    def _fits(self) -> "FinetuneConfig":
        if (
            self.backbone.video.depth == 0
            or self.backbone.audio.depth == 0
            or self.backbone.fusion_depth == 0
        ):
            raise ValueError(
                "the classifier needs at least one block in the video, audio and fusion encoders"
            )
        return self


class DecoderConfig(BaseModel):
    """The decoder of one modality; needed in pre-training only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_values: PositiveInt
    """Numbers predicted per token: 3 channels of a tube, or one channel of a spectrogram patch."""
    dim: PositiveInt
    """Width of a token."""
    num_heads: PositiveInt
    """Attention heads, at most `dim`."""
    depth: PositiveInt = 4
    """Blocks: a plain one, then one per intermediate layer."""


class PretrainConfig(BaseModel):
    """The masked autoencoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: BackboneConfig
    decoder_video: DecoderConfig
    decoder_audio: DecoderConfig
    intermediate_layers: tuple[int, ...] = (3, 6, 9)
    """Encoder blocks, from 0, whose outputs feed the contrastive loss and the decoders; () for neither."""
    temperature: PositiveFloat = 0.07
    """Divides the cosine similarities of the contrastive loss."""
    encoder_num_classes: NonNegativeInt = 0
    """Outputs of a linear layer after each encoder; 0 (published) for none, else the encoders' width."""

    @model_validator(mode="after")
    def _fits(self) -> "PretrainConfig":
        video, audio = self.backbone.video, self.backbone.audio
        for name, decoder in (("video", self.decoder_video), ("audio", self.decoder_audio)):
            if decoder.depth != len(self.intermediate_layers) + 1:
                raise ValueError(
                    f"the {name} decoder has {decoder.depth} blocks for {len(self.intermediate_layers)} "
                    "intermediate layers; it needs one block more than there are layers"
                )
            if decoder.num_heads > decoder.dim:
                raise ValueError(
                    f"{decoder.num_heads} heads do not fit into a decoder width of {decoder.dim}"
                )
        depth = min(video.depth, audio.depth)
        if bad := [layer for layer in self.intermediate_layers if not -depth <= layer < depth]:
            raise ValueError(f"intermediate layer {bad[0]} is not one of the {depth} blocks of the encoders")
        if self.intermediate_layers and video.dim != audio.dim:
            raise ValueError(
                f"widths of {video.dim} (video) and {audio.dim} (audio) cannot be contrasted; make them "
                "equal or take no intermediate layers"
            )
        if self.encoder_num_classes and {video.dim, audio.dim} != {self.encoder_num_classes}:
            raise ValueError(
                f"encoder heads of {self.encoder_num_classes} outputs cannot feed a fusion encoder of widths "
                f"{video.dim} and {audio.dim}"
            )
        # The published decoders predict three channels of video and one of audio.
        _check_values("video", self.decoder_video, 3 * self.backbone.tubelet_size * _area(video))
        _check_values("audio", self.decoder_audio, _area(audio))
        return self


def _area(stream: StreamConfig) -> int:
    return stream.patch_size[0] * stream.patch_size[1]


def _check_values(name: str, decoder: DecoderConfig, expected: int) -> None:
    if decoder.num_values != expected:
        raise ValueError(
            f"the {name} decoder predicts {decoder.num_values} values where a token has {expected}"
        )


def _backbone(dim: int, num_heads: int) -> BackboneConfig:
    return BackboneConfig(
        video=StreamConfig(size=(160, 160), in_chans=3, dim=dim, num_heads=num_heads),
        audio=StreamConfig(size=(256, 128), in_chans=1, dim=dim, num_heads=num_heads),
        fusion_num_heads=num_heads,
    )


BACKBONES = {"tiny": _backbone(256, 4), "small": _backbone(384, 6), "base": _backbone(512, 8)}
"""The published sizes: 16 frames of 160 x 160 pixels, 256 spectrogram frames of 128 mel bins."""

DECODERS = {"small": (192, 3), "base": (384, 6)}
"""Width and heads of the published decoders; that of the tiny network was not published."""


def backbone_of_size(size: str) -> BackboneConfig:
    """The published backbone of that name; raises InputError with the nearest right name."""
    if size not in BACKBONES:
        raise unknown_name("HiCMAE size", size, BACKBONES)
    return BACKBONES[size]


def pretrain_config_of_size(size: str) -> PretrainConfig:
    """The published autoencoder of that name; raises InputError where its decoder was not published."""
    if size not in DECODERS:
        raise unknown_name("HiCMAE size with a published decoder", size, DECODERS)
    dim, num_heads = DECODERS[size]
    return PretrainConfig(
        backbone=BACKBONES[size],
        decoder_video=DecoderConfig(num_values=3 * 2 * 16 * 16, dim=dim, num_heads=num_heads),
        decoder_audio=DecoderConfig(num_values=16 * 16, dim=dim, num_heads=num_heads),
    )
