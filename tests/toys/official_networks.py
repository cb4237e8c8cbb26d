"""From the arguments of an official constructor, in a fixture of the reference folder, to one of our configs.

A fixture says how its network was built in the words of the code that wrote it. Each network has a table of
those words: the official default of every argument and the field of our config that it becomes. What a file
leaves out takes the official default, an argument that is not in the table is an error.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from safetensors import safe_open

from blended.data.errors import InputError, unknown_name
from blended.encoders.networks.config import ImageBindConfig, VideoMAEv2Config
from blended.encoders.networks.hicmae.config import FinetuneConfig, PretrainConfig


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an official constructor."""

    default: object
    """What the official constructor assumes."""
    path: str | None = None
    """The field of our config, dotted; None where the argument does not change what the network computes."""
    refused: str = ""
    """Why nothing but the default is accepted; empty where other values are."""


ArgumentTable = Mapping[str, Argument]
Config = TypeVar("Config", bound=BaseModel)


def config_from_arguments(
    config_type: type[Config], table: ArgumentTable, given: Mapping[str, object], source: str
) -> Config:
    """The config of the network that the official constructor would build from `given`.

    `source` names where the arguments come from, for the message.

    Raises:
        InputError: for an unknown argument, a refused value (and says why), two arguments for one field, or
            values that do not make a network.
    """
    for name in given:
        if name not in table:
            raise InputError(f"{source}: {unknown_name('constructor argument', name, table)}")
        if table[name].refused and given[name] != table[name].default:
            raise InputError(
                f"{source}: constructor argument {name} = {given[name]!r} is not supported: "
                f"{table[name].refused}"
            )
    values = {row.path: row.default for row in table.values() if row.path is not None}
    values |= _given_values(table, given, source)
    try:
        return config_type.model_validate(_nested(values))
    except ValidationError as error:
        raise InputError(f"{source}: {_sentence(error, table)}") from error


def _given_values(table: ArgumentTable, given: Mapping[str, object], source: str) -> dict[str, object]:
    """Values by path; two names may stand for one field, but not in one file."""
    name_of: dict[str, str] = {}
    for name in given:
        path = table[name].path
        if path is None:
            continue
        if path in name_of:
            raise InputError(f"{source}: {name_of[path]} and {name} say the same; leave one of them out")
        name_of[path] = name
    return {path: given[name] for path, name in name_of.items()}


def _nested(values: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, leaf = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def _sentence(error: ValidationError, table: ArgumentTable) -> str:
    """The first problem, under the official name where there is one."""
    first = error.errors()[0]
    location = ".".join(str(part) for part in first["loc"])
    names = [name for name, row in table.items() if row.path and f"{location}.".startswith(f"{row.path}.")]
    reason = first["msg"].removeprefix("Value error, ")
    if not names:
        return f"the constructor arguments make no network: {reason}"
    return f"constructor argument {names[0]} = {first['input']!r}: {reason}"


_LEARNED_POSITIONS = (
    "the official audio encoder makes one position too many for it and stops; only fixed positions exist"
)
_NORM_LAYER = (
    "every published model has LayerNorm with eps 1e-6, which is what is built; leave the argument out"
)

_BLOCKS: ArgumentTable = {
    "mlp_ratio": Argument(4.0, "backbone.blocks.mlp_ratio"),
    "qkv_bias": Argument(False, "backbone.blocks.qkv_bias"),
    "qk_scale": Argument(None, "backbone.blocks.qk_scale"),
    "drop_rate": Argument(0.0, "backbone.blocks.drop_rate"),
    "attn_drop_rate": Argument(0.0, "backbone.blocks.attn_drop_rate"),
    "drop_path_rate": Argument(0.0, "backbone.blocks.drop_path_rate"),
    "init_values": Argument(0.0, "backbone.blocks.init_values"),
    "norm_layer": Argument(None, refused=_NORM_LAYER),
    "use_learnable_pos_emb": Argument(False, refused=_LEARNED_POSITIONS),
    "tubelet_size": Argument(2, "backbone.tubelet_size"),
    "img_size": Argument(224, "backbone.video.size"),
    "patch_size": Argument(16, "backbone.video.patch_size"),
    "img_size_audio": Argument((256, 128), "backbone.audio.size"),
    "patch_size_audio": Argument(16, "backbone.audio.patch_size"),
}

FINETUNE_ARGUMENTS: ArgumentTable = {
    **_BLOCKS,
    "all_frames": Argument(16, "backbone.num_frames"),
    "in_chans": Argument(3, "backbone.video.in_chans"),
    "embed_dim": Argument(768, "backbone.video.dim"),
    "depth": Argument(12, "backbone.video.depth"),
    "num_heads": Argument(12, "backbone.video.num_heads"),
    "in_chans_audio": Argument(1, "backbone.audio.in_chans"),
    "embed_dim_audio": Argument(768, "backbone.audio.dim"),
    "depth_audio": Argument(12, "backbone.audio.depth"),
    "num_heads_audio": Argument(12, "backbone.audio.num_heads"),
    "fusion_depth": Argument(2, "backbone.fusion_depth"),
    "fusion_num_heads": Argument(12, "backbone.fusion_num_heads"),
    "num_classes": Argument(1000, "num_classes"),
    "head_activation_func": Argument(None, "head_activation"),
    "attn_type": Argument("joint", refused="the official code has no other attention either"),
    # Passed around in the official code without reaching a layer.
    "init_scale": Argument(0.0),
    "keep_temporal_dim": Argument(False),
    "use_mean_pooling": Argument(True),
}
"""`AudioVisionTransformer`."""

PRETRAIN_ARGUMENTS: ArgumentTable = {
    **_BLOCKS,
    "encoder_in_chans": Argument(3, "backbone.video.in_chans"),
    "encoder_embed_dim": Argument(768, "backbone.video.dim"),
    "encoder_depth": Argument(12, "backbone.video.depth"),
    "encoder_num_heads": Argument(12, "backbone.video.num_heads"),
    "encoder_num_classes": Argument(0, "encoder_num_classes"),
    "decoder_num_classes": Argument(1536, "decoder_video.num_values"),
    "decoder_embed_dim": Argument(512, "decoder_video.dim"),
    "decoder_depth": Argument(8, "decoder_video.depth"),
    "decoder_num_heads": Argument(8, "decoder_video.num_heads"),
    "encoder_in_chans_audio": Argument(1, "backbone.audio.in_chans"),
    "encoder_embed_dim_audio": Argument(768, "backbone.audio.dim"),
    "encoder_depth_audio": Argument(12, "backbone.audio.depth"),
    "encoder_num_heads_audio": Argument(12, "backbone.audio.num_heads"),
    "decoder_num_classes_audio": Argument(256, "decoder_audio.num_values"),
    "decoder_embed_dim_audio": Argument(512, "decoder_audio.dim"),
    "decoder_depth_audio": Argument(8, "decoder_audio.depth"),
    "decoder_num_heads_audio": Argument(8, "decoder_audio.num_heads"),
    "encoder_fusion_depth": Argument(2, "backbone.fusion_depth"),
    "encoder_fusion_num_heads": Argument(12, "backbone.fusion_num_heads"),
    "inter_contrastive_temperature": Argument(0.07, "temperature"),
    "return_intermediate_features": Argument((3, 6, 9), "intermediate_layers"),
    # Taken by the official constructor and never read.
    "num_classes": Argument(0),
    "in_chans": Argument(0),
}
"""`PretrainAudioVisionTransformer`; it always takes 16 frames."""


def finetune_config(arguments: Mapping[str, object], source: str = "HiCMAE") -> FinetuneConfig:
    """The classifier that `AudioVisionTransformer(**arguments)` builds; raises InputError."""
    return config_from_arguments(FinetuneConfig, FINETUNE_ARGUMENTS, arguments, source)


def pretrain_config(arguments: Mapping[str, object], source: str = "HiCMAE") -> PretrainConfig:
    """The autoencoder that `PretrainAudioVisionTransformer(**arguments)` builds; raises InputError."""
    return config_from_arguments(PretrainConfig, PRETRAIN_ARGUMENTS, arguments, source)


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


def read_arguments(path: Path) -> dict[str, object]:
    """The arguments in the metadata of a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["config"])
