"""Official constructor arguments become our configs, or a sentence."""

import subprocess
import sys

import pytest

from blended.data.errors import InputError
from blended.encoders.networks.config import BlockConfig, ImageBindConfig
from blended.encoders.networks.hicmae.config import backbone_of_size, pretrain_config_of_size
from toys.official_networks import finetune_config, imagebind_config, pretrain_config

PUBLISHED_BASE = {
    "img_size": 160,
    "encoder_embed_dim": 512,
    "encoder_num_heads": 8,
    "encoder_depth": 10,
    "decoder_embed_dim": 384,
    "decoder_num_heads": 6,
    "decoder_depth": 4,
    "encoder_embed_dim_audio": 512,
    "encoder_num_heads_audio": 8,
    "encoder_depth_audio": 10,
    "decoder_embed_dim_audio": 384,
    "decoder_num_heads_audio": 6,
    "decoder_depth_audio": 4,
    "encoder_fusion_num_heads": 8,
    "qkv_bias": True,
}


def test_the_published_arguments_give_the_published_network() -> None:
    assert pretrain_config(PUBLISHED_BASE) == pretrain_config_of_size("base")
    huge = {"vision_embed_dim": 1280, "vision_num_blocks": 32, "out_embed_dim": 1024, "text_embed_dim": 1024}
    assert imagebind_config(huge) == ImageBindConfig()


def test_what_is_left_out_has_the_official_default() -> None:
    config = finetune_config({})
    assert config.num_classes == 1000
    assert config.backbone.video.size == (224, 224)
    assert config.backbone.audio.size == (256, 128)
    assert (config.backbone.video.dim, config.backbone.video.depth) == (768, 12)
    assert config.backbone.blocks == BlockConfig(qkv_bias=False)
    assert (
        pretrain_config({"encoder_depth": 12, "decoder_depth": 4, "decoder_depth_audio": 4}).temperature
        == 0.07
    )


def test_arguments_without_effect_are_taken() -> None:
    assert finetune_config({"use_mean_pooling": False, "init_scale": 0.001}) == finetune_config({})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_head": 4}, "f.safetensors: unknown constructor argument 'num_head': did you mean 'num_heads'"),
        (
            {"attn_type": "local"},
            "argument attn_type = 'local' is not supported: the official code has no other",
        ),
        (
            {"use_learnable_pos_emb": True},
            "use_learnable_pos_emb = True is not supported: the official audio",
        ),
        ({"norm_layer": "BatchNorm"}, "norm_layer = 'BatchNorm' is not supported: .* eps 1e-6"),
        (
            {"head_activation_func": "gelu"},
            "head_activation_func = 'gelu': Input should be 'sigmoid', 'relu' or",
        ),
        ({"depth": -1}, "constructor argument depth = -1: Input should be greater than or equal to 0"),
        ({"img_size": "large"}, "constructor argument img_size = 'large': Input should be a valid tuple"),
        ({"drop_path_rate": 1.5}, "constructor argument drop_path_rate = 1.5: Input should be less than 1"),
        ({"depth_audio": 0}, "make no network: the classifier needs at least one block in the video, audio"),
        ({"num_heads": 800}, "800 heads do not fit into a width of 768"),
        (
            {"fusion_num_heads": 800},
            "make no network: 800 fusion heads do not fit into widths of 768 and 768",
        ),
        ({"tubelet_size": 17}, "make no network: tubes of 17 frames do not fit into 16 frames"),
        ({"patch_size": 300}, r"patches of \(300, 300\) do not fit into an input of \(224, 224\)"),
    ],
)
def test_wrong_finetuning_arguments(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        finetune_config(arguments, "f.safetensors")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"decoder_depth": 5},
            "the video decoder has 5 blocks for 3 intermediate layers; it needs one block more",
        ),
        (
            {"return_intermediate_features": None},
            "return_intermediate_features = None: Input should be a valid tuple",
        ),
        ({"return_intermediate_features": [3, 6, 10]}, "intermediate layer 10 is not one of the 10 blocks"),
        ({"decoder_num_classes": 768}, "the video decoder predicts 768 values where a token has 1536"),
        ({"decoder_num_heads": 400}, "400 heads do not fit into a decoder width of 384"),
        (
            {"encoder_num_classes": 6},
            "encoder heads of 6 outputs cannot feed a fusion encoder of widths 512 and 512",
        ),
        (
            {"encoder_embed_dim": 256},
            r"widths of 256 \(video\) and 512 \(audio\) cannot be contrasted; make them",
        ),
        ({"all_frames": 16}, "unknown constructor argument 'all_frames'"),
    ],
)
def test_wrong_pretraining_arguments(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        pretrain_config(PUBLISHED_BASE | arguments)


def test_wrong_imagebind_arguments() -> None:
    with pytest.raises(InputError, match="make no network: 3 heads do not divide a width of 1024"):
        imagebind_config({"vision_num_heads": 3})
    with pytest.raises(InputError, match="make no network: a token is larger than the input"):
        imagebind_config({"audio_target_len": 8})
    with pytest.raises(InputError, match="unknown constructor argument 'vision_blocks'"):
        imagebind_config({"vision_blocks": 3})


def test_misspelt_sizes_are_answered_with_the_right_one() -> None:
    with pytest.raises(InputError, match="unknown HiCMAE size 'bass': did you mean 'base'"):
        backbone_of_size("bass")
    with pytest.raises(InputError, match="unknown HiCMAE size with a published decoder 'tiny'"):
        pretrain_config_of_size("tiny")


def test_configs_do_not_need_torch() -> None:
    modules = ["networks.hicmae.config", "networks.config"]
    imports = "; ".join(f"import blended.encoders.{module}" for module in modules)
    check = f"import sys, blended.encoders; before = 'torch' in sys.modules; {imports}; "
    check += "sys.exit(('torch' in sys.modules) != before)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
