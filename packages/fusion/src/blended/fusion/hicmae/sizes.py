"""How large a HiCMAE is that is trained here: a published size, one for a CPU, or any other."""

from typing import Literal

from blended.data.errors import InputError
from blended.encoders.networks.hicmae.config import (
    BACKBONES,
    BackboneConfig,
    DecoderConfig,
    PretrainConfig,
    StreamConfig,
    pretrain_config_of_size,
)
from blended.fusion.hicmae.clips import ClipPreparation

SizeName = Literal["tiny", "small", "base", "demo"]
Size = SizeName | BackboneConfig

DEMO = BackboneConfig(
    video=StreamConfig(size=(64, 64), in_chans=3, dim=64, num_heads=4, depth=4),
    audio=StreamConfig(size=(128, 64), in_chans=1, dim=64, num_heads=4, depth=4),
    num_frames=8,
    fusion_num_heads=4,
)
"""Small enough for a CPU: 64 + 32 tokens of the published shapes (2 x 16 x 16 and 16 x 16)."""

MIN_DECODER_WIDTH, HEAD_WIDTH = 32, 16
"""Of decoders that nobody published."""


def backbone_of(
    size: Size, num_frames: int | None = None, pixels: int | None = None, drop_path: float | int = 0.0
) -> BackboneConfig:
    """The two encoders and the one that fuses them.

    `num_frames` and `pixels` (height and width of a picture) replace those of the size. Raises InputError for
    what cannot be cut into whole tokens.
    """
    named = BACKBONES | {"demo": DEMO}
    backbone = named[size] if isinstance(size, str) else size
    side = pixels or backbone.video.size[0]
    frames = num_frames or backbone.num_frames
    patch = backbone.video.patch_size[0]
    if side % patch or frames % backbone.tubelet_size or backbone.video.size[0] != backbone.video.size[1]:
        raise InputError(
            f"HiCMAE on {frames} square pictures of {side} pixels: expected multiples of "
            f"{backbone.tubelet_size} pictures and {patch} pixels"
        )
    video = backbone.video.model_copy(update={"size": (side, side)})
    blocks = backbone.blocks.model_copy(update={"drop_path_rate": drop_path})
    return backbone.model_copy(update={"video": video, "num_frames": frames, "blocks": blocks})


def preparation_of(backbone: BackboneConfig, windows: int = 1, **others: object) -> ClipPreparation:
    """What becomes of clips before such a network; raises InputError for a spectrogram of an odd size."""
    frames, bins = backbone.audio.size
    given: dict[str, object] = {
        "num_frames": backbone.num_frames,
        "pixels": backbone.video.size[0],
        "spectrogram_frames": frames,
        "mel_bins": bins,
        "windows": windows,
    }
    preparation = ClipPreparation.model_validate(given | others)
    preparation.check()
    return preparation


def autoencoder_of(size: Size, backbone: BackboneConfig) -> PretrainConfig:
    """The masked autoencoder: published decoders, or for other sizes half as wide as the encoders.

    Three intermediate layers, those after about 4, 7 and 10 tenths of the blocks (3, 6, 9 of the published
    10); raises InputError for fewer than three blocks.
    """
    depth = min(backbone.video.depth, backbone.audio.depth)
    if depth < 3:
        raise InputError(
            f"pre-training contrasts three depths, and {depth} blocks are too few: take 3 or more"
        )
    layers = tuple(max(number, -(-part * depth // 10) - 1) for number, part in enumerate((4, 7, 10)))
    if size in ("small", "base"):
        published = pretrain_config_of_size(str(size))
        width, heads = published.decoder_video.dim, published.decoder_video.num_heads
    else:
        width = max(MIN_DECODER_WIDTH, backbone.video.dim // 2 // HEAD_WIDTH * HEAD_WIDTH)
        heads = max(1, width // 64) if width >= 128 else width // HEAD_WIDTH
    area, area_audio = _area(backbone.video), _area(backbone.audio)
    return PretrainConfig(
        backbone=backbone,
        decoder_video=DecoderConfig(
            num_values=3 * backbone.tubelet_size * area, dim=width, num_heads=heads, depth=4
        ),
        decoder_audio=DecoderConfig(num_values=area_audio, dim=width, num_heads=heads, depth=4),
        intermediate_layers=layers,
    )


def _area(stream: StreamConfig) -> int:
    return stream.patch_size[0] * stream.patch_size[1]
