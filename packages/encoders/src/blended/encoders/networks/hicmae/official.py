"""The arguments of the two constructors of `sunlicai/HiCMAE`, and what becomes of each."""

from collections.abc import Mapping

from blended.encoders.networks.hicmae.config import FinetuneConfig, PretrainConfig
from blended.encoders.networks.official import Argument, ArgumentTable, config_from_arguments

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
