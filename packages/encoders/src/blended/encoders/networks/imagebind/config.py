"""How large an ImageBind is, and the arguments of its official constructor. Plain records, no torch."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, NonNegativeInt, PositiveInt, model_validator

from blended.encoders.networks.config import Pair, Rate
from blended.encoders.networks.official import Argument, ArgumentTable, config_from_arguments

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


_OTHER_MODALITIES = {
    "text": {"embed_dim": 768, "num_blocks": 12, "num_heads": 12},
    "depth": {"embed_dim": 384, "kernel_size": 16, "num_blocks": 12, "num_heads": 8, "drop_path": 0.0},
    "thermal": {"embed_dim": 768, "kernel_size": 16, "num_blocks": 12, "num_heads": 12, "drop_path": 0.0},
    "imu": {"embed_dim": 512, "kernel_size": 8, "num_blocks": 6, "num_heads": 8, "drop_path": 0.7},
}

IMAGEBIND_ARGUMENTS: ArgumentTable = {
    "video_frames": Argument(2, "video_frames"),
    "kernel_size": Argument((2, 14, 14), "kernel_size"),
    "out_embed_dim": Argument(768, "out_embed_dim"),
    "vision_embed_dim": Argument(1024, "vision_embed_dim"),
    "vision_num_blocks": Argument(24, "vision_num_blocks"),
    "vision_num_heads": Argument(16, "vision_num_heads"),
    "audio_kernel_size": Argument(16, "audio_kernel_size"),
    "audio_stride": Argument(10, "audio_stride"),
    "audio_embed_dim": Argument(768, "audio_embed_dim"),
    "audio_num_blocks": Argument(12, "audio_num_blocks"),
    "audio_num_heads": Argument(12, "audio_num_heads"),
    "audio_num_mel_bins": Argument(128, "audio_num_mel_bins"),
    "audio_target_len": Argument(204, "audio_target_len"),
    "audio_drop_path": Argument(0.1, "audio_drop_path"),
    # The other modalities are not built, so their sizes change nothing here.
    **{
        f"{modality}_{name}": Argument(default)
        for modality, arguments in _OTHER_MODALITIES.items()
        for name, default in arguments.items()
    },
}
"""`ImageBindModel` of `facebookresearch/ImageBind`."""


def imagebind_config(arguments: Mapping[str, object], source: str = "ImageBind") -> ImageBindConfig:
    """The vision and audio parts that the official `ImageBindModel(**arguments)` has; raises InputError."""
    return config_from_arguments(ImageBindConfig, IMAGEBIND_ARGUMENTS, arguments, source)
