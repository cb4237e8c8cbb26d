"""How large a VideoMAEv2 is, and the arguments of its official constructor. Plain records, no torch."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, model_validator

from blended.data.errors import unknown_name
from blended.encoders.networks.config import BlockConfig, Pair, Rate
from blended.encoders.networks.official import Argument, ArgumentTable, config_from_arguments


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

VIDEOMAE2_ARGUMENTS: ArgumentTable = {
    "img_size": Argument(224, "img_size"),
    "patch_size": Argument(16, "patch_size"),
    "in_chans": Argument(3, "in_chans"),
    "num_classes": Argument(1000, "num_classes"),
    "embed_dim": Argument(768, "embed_dim"),
    "depth": Argument(12, "depth"),
    "num_heads": Argument(12, "num_heads"),
    "mlp_ratio": Argument(4.0, "blocks.mlp_ratio"),
    "qkv_bias": Argument(False, "blocks.qkv_bias"),
    "qk_scale": Argument(None, "blocks.qk_scale"),
    "drop_rate": Argument(0.0, "blocks.drop_rate"),
    "attn_drop_rate": Argument(0.0, "blocks.attn_drop_rate"),
    "drop_path_rate": Argument(0.0, "blocks.drop_path_rate"),
    "head_drop_rate": Argument(0.0, "head_drop_rate"),
    "init_values": Argument(0.0, "blocks.init_values"),
    "use_learnable_pos_emb": Argument(False, "learned_positions"),
    "init_scale": Argument(0.0, "init_scale"),
    "all_frames": Argument(16, "num_frames"),
    "tubelet_size": Argument(2, "tubelet_size"),
    "use_mean_pooling": Argument(True, "mean_pooling"),
    "cos_attn": Argument(False, "cosine_attention"),
    # Saves memory in training and computes the same.
    "with_cp": Argument(False),
    # How `config.json` of the weights on Hugging Face says it.
    "num_frames": Argument(16, "num_frames"),
    "layer_norm_eps": Argument(1e-6, "blocks.norm_eps"),
    "norm_layer": Argument("nn.LayerNorm", refused="every published model has LayerNorm"),
}
"""`VisionTransformer` of `OpenGVLab/VideoMAEv2`; its norms have eps 1e-6 in every published model."""


def videomae2_config(arguments: Mapping[str, object], source: str = "VideoMAEv2") -> VideoMAEv2Config:
    """The network that the official `VisionTransformer(**arguments)` is; raises InputError."""
    return config_from_arguments(VideoMAEv2Config, VIDEOMAE2_ARGUMENTS, arguments, source)


def videomae2_config_of_size(size: str) -> VideoMAEv2Config:
    """The published network of that name; raises InputError with the nearest right name."""
    if size not in VIDEOMAE2_SIZES:
        raise unknown_name("VideoMAEv2 size", size, VIDEOMAE2_SIZES)
    return VIDEOMAE2_SIZES[size]
