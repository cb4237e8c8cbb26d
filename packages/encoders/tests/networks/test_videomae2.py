"""VideoMAEv2: its options, shapes and gradients."""

import pytest
import torch
from torch import nn

from blended.data.errors import InputError
from blended.encoders.networks.config import BlockConfig, VideoMAEv2Config
from blended.encoders.networks.videomae2 import VideoMAEv2
from toys.official_networks import videomae2_config

TINY = VideoMAEv2Config(
    img_size=(8, 12),
    patch_size=(4, 4),
    num_frames=4,
    embed_dim=8,
    depth=2,
    num_heads=2,
    num_classes=5,
    init_scale=1.0,
)


def tiny(**changes: object) -> VideoMAEv2:
    torch.manual_seed(0)
    return VideoMAEv2(TINY.model_copy(update=changes)).eval()


def test_features_are_the_normalised_mean_token() -> None:
    network = tiny()
    video = torch.randn(2, 3, 4, 8, 12)
    x = network.patch_embed(video) + network.pos_embed
    assert x.shape == (2, 12, 8)
    for block in network.blocks:
        x = block(x)
    mean = sum(x[:, i] for i in range(12)) / 12
    torch.testing.assert_close(network.features(video), network.fc_norm(mean))
    torch.testing.assert_close(network(video), network.head(network.fc_norm(mean)))


def test_without_mean_pooling_the_first_token_counts() -> None:
    network = tiny(mean_pooling=False, blocks=BlockConfig(init_values=0.5))
    names = set(network.state_dict())
    assert {"norm.weight", "blocks.0.gamma_1"} <= names
    assert "fc_norm.weight" not in names
    x = network.patch_embed(torch.ones(1, 3, 4, 8, 12)) + network.pos_embed
    for block in network.blocks:
        x = block(x)
    features = network.features(torch.ones(1, 3, 4, 8, 12))
    torch.testing.assert_close(features, network.norm(x[:, 0]))


def test_learned_positions_are_part_of_the_checkpoint_and_fixed_ones_are_not() -> None:
    assert tiny(learned_positions=True).state_dict()["pos_embed"].shape == (1, 12, 8)
    assert "pos_embed" not in tiny().state_dict()
    assert "pos_embed" in dict(tiny().named_buffers())


def test_a_head_of_no_classes_passes_the_features_on() -> None:
    network = tiny(num_classes=0)
    video = torch.randn(1, 3, 4, 8, 12)
    assert isinstance(network.head, nn.Identity)
    assert torch.equal(network(video), network.features(video))


@pytest.mark.parametrize(
    "changes", [{}, {"cosine_attention": True}, {"learned_positions": True}, {"mean_pooling": False}]
)
def test_gradients_reach_every_parameter(changes: dict[str, object]) -> None:
    network = tiny(**changes).train()
    network(torch.randn(2, 3, 4, 8, 12)).square().sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_initial_head_is_scaled() -> None:
    large, small = tiny().head, tiny(init_scale=0.001).head
    assert isinstance(large, nn.Linear) and isinstance(small, nn.Linear)
    torch.testing.assert_close(small.weight, large.weight * 0.001)


def test_official_arguments() -> None:
    config = videomae2_config({"patch_size": 14, "cos_attn": True, "all_frames": 32, "with_cp": True})
    assert config.patch_size == (14, 14)
    assert config.cosine_attention
    assert config.num_frames == 32
    assert not config.blocks.qkv_bias  # the official default
    from_hub = videomae2_config({"num_frames": 8, "layer_norm_eps": 1e-5, "norm_layer": "nn.LayerNorm"})
    assert (from_hub.num_frames, from_hub.blocks.norm_eps) == (8, 1e-5)
    with pytest.raises(InputError, match="all_frames and num_frames say the same; leave one of them out"):
        videomae2_config({"all_frames": 16, "num_frames": 16})
    with pytest.raises(InputError, match="cosine attention learns its factor"):
        videomae2_config({"cos_attn": True, "qk_scale": 0.1})
