"""The published sizes, counted on the meta device, where parameters take no memory."""

import pytest
import torch
from torch import nn

from blended.encoders.networks.config import VIDEOMAE2_SIZES, ImageBindConfig
from blended.encoders.networks.hicmae.config import FinetuneConfig, backbone_of_size, pretrain_config_of_size
from blended.encoders.networks.hicmae.network import HiCMAEClassifier
from blended.encoders.networks.hicmae.pretrain import HiCMAEAutoencoder
from blended.encoders.networks.imagebind import ImageBind
from blended.encoders.networks.videomae2 import VideoMAEv2


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("size", "published"), [("tiny", 20_473_370), ("small", 45_652_250), ("base", 80_792_602)]
)
def test_hicmae_with_six_classes(size: str, published: int) -> None:
    with torch.device("meta"):
        network = HiCMAEClassifier(FinetuneConfig(backbone=backbone_of_size(size), num_classes=6))
    assert count(network) == published


def test_hicmae_autoencoder_shares_the_encoders_of_the_classifier() -> None:
    with torch.device("meta"):
        classifier = HiCMAEClassifier(FinetuneConfig(backbone=backbone_of_size("small"), num_classes=0))
        autoencoder = HiCMAEAutoencoder(pretrain_config_of_size("small"))
    for part in ("encoder", "encoder_audio", "encoder_fusion"):
        shapes = [
            {name: value.shape for name, value in getattr(network, part).state_dict().items()}
            for network in (classifier, autoencoder)
        ]
        assert shapes[0] == shapes[1]


def test_videomae2_base() -> None:
    """The weights on Hugging Face (OpenGVLab/VideoMAEv2-Base, no head) are 345 MB of float32."""
    with torch.device("meta"):
        network = VideoMAEv2(VIDEOMAE2_SIZES["base"])
    assert round(4 * count(network) / 1e6) == 345
    assert count(network) == 86_227_200


def test_videomae2_giant() -> None:
    """Its blocks are those of OpenCLIP's ViT-g-14: 1012.65 M in the image tower by docs/model_profile.csv.

    From ours to theirs: one frame in a patch instead of two, no bias there, but a bias on keys, a class
    token, positions, a norm before the blocks and a projection to 1024.
    """
    with torch.device("meta"):
        network = VideoMAEv2(VIDEOMAE2_SIZES["giant"])
    dim = 1408
    less = dim * 3 * 14 * 14 + dim
    more = 40 * dim + dim + (1 + 16 * 16) * dim + 2 * dim + dim * 1024
    assert round((count(network) - less + more) / 1e6, 2) == 1012.65


def test_imagebind_huge() -> None:
    """Its vision part began as OpenCLIP's ViT-H-14 ("ViT-H 630M params" in the paper).

    docs/model_profile.csv of OpenCLIP gives 632.08 M; a second frame in each patch was added. Audio is a
    ViT-B, about 86 M.
    """
    with torch.device("meta"):
        network = ImageBind(ImageBindConfig())
    parts = [network.modality_preprocessors, network.modality_trunks, network.modality_heads]
    vision, audio = (sum(count(part[modality]) for part in parts) for modality in ("vision", "audio"))
    assert round((vision - 1280 * 3 * 14 * 14) / 1e6, 2) == 632.08
    assert round(audio / 1e6) == 86
    assert vision + audio == count(network)
