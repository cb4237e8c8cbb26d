"""ImageBind: its attention against torch's, its clips, its positions."""

import pytest
import torch
from torch import nn

from blended.data.errors import InputError
from blended.encoders.networks.checkpoint import load_state
from blended.encoders.networks.config import ImageBindConfig
from blended.encoders.networks.imagebind import NOT_BUILT, ImageBind, Positions, SelfAttention

TINY = ImageBindConfig(
    out_embed_dim=6,
    vision_embed_dim=8,
    vision_num_blocks=1,
    vision_num_heads=2,
    kernel_size=(2, 56, 56),
    audio_embed_dim=8,
    audio_num_blocks=2,
    audio_num_heads=4,
    audio_num_mel_bins=32,
    audio_target_len=48,
)


def tiny(**changes: object) -> ImageBind:
    torch.manual_seed(0)
    return ImageBind(TINY.model_copy(update=changes)).eval()


def vision_positions(network: ImageBind) -> Positions:
    positions = network.modality_preprocessors["vision"].pos_embedding_helper
    assert isinstance(positions, Positions)
    return positions


@pytest.mark.parametrize("extra_token", [False, True])
def test_attention_is_that_of_torch(extra_token: bool) -> None:
    torch.manual_seed(0)
    ours = SelfAttention(8, 2, extra_token=extra_token)
    theirs = nn.MultiheadAttention(8, 2, bias=True, add_bias_kv=extra_token, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(3, 5, 8)
    expected, _ = theirs(x, x, x, need_weights=False)
    torch.testing.assert_close(ours(x), expected)


def test_embeddings_have_unit_length_and_sounds_twenty_times_that() -> None:
    network = tiny()
    with torch.inference_mode():
        image = network.vision(torch.randn(2, 3, 224, 224))
        sound = network.audio(torch.randn(2, 1, 32, 48))
    assert image.shape == sound.shape == (2, 6)
    torch.testing.assert_close(image.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(sound.norm(dim=1), torch.full((2,), 20.0))


def test_several_clips_are_embedded_one_by_one_and_averaged() -> None:
    network = tiny()
    clips, sounds = torch.randn(2, 3, 3, 2, 224, 224), torch.randn(2, 3, 1, 32, 48)
    with torch.inference_mode():
        vision = torch.stack([network.vision(clips[:, i : i + 1]) for i in range(3)]).mean(dim=0)
        audio = torch.stack([network.audio(sounds[:, i]) for i in range(3)]).mean(dim=0)
        torch.testing.assert_close(network.vision(clips), vision)
        torch.testing.assert_close(network.audio(sounds), audio)


def test_an_image_is_a_clip_of_two_equal_frames() -> None:
    network = tiny()
    image = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = network.vision(image)
        torch.testing.assert_close(network.vision(image[:, None, :, None].repeat(1, 1, 1, 2, 1, 1)), expected)
        torch.testing.assert_close(network.vision(image[:, None, :, None]), expected)


def test_positions_follow_an_image_of_another_resolution() -> None:
    network = tiny()
    positions = vision_positions(network)
    fitted = positions.fitted(1 + 64, torch.zeros(1, 3, 448, 448))
    assert fitted.shape == (1, 65, 8)
    torch.testing.assert_close(fitted[:, 0], positions.pos_embed[:, 0])
    grid = positions.pos_embed[:, 1:].detach().reshape(1, 4, 4, 8)
    with torch.no_grad():
        positions.pos_embed[:, 1:] = grid[:, :1, :1].expand_as(grid).flatten(1, 2)
    flat = positions.fitted(1 + 64, torch.zeros(1, 3, 448, 448))
    torch.testing.assert_close(flat[:, 1:], grid[:, 0, :1].expand(1, 64, 8))
    with torch.inference_mode():
        assert network.vision(torch.randn(1, 3, 448, 448)).shape == (1, 6)


def test_an_image_in_a_network_of_longer_clips_gets_the_first_time_step() -> None:
    network = tiny(video_frames=4)
    positions = vision_positions(network)
    assert positions.pos_embed.shape == (1, 1 + 2 * 16, 8)
    fitted = positions.fitted(1 + 16, torch.zeros(1, 3, 224, 224))
    torch.testing.assert_close(fitted, positions.pos_embed[:, :17])


def test_inputs_of_other_shapes_are_refused() -> None:
    network = tiny()
    with pytest.raises(InputError, match=r"audio input of shape \[2, 32, 48\]; expected \[batch, 1, height"):
        network.audio(torch.zeros(2, 32, 48))
    with pytest.raises(
        InputError, match=r"vision input of shape \[2, 1, 224, 224\]; expected \[batch, 3, height"
    ):
        network.vision(torch.zeros(2, 1, 224, 224))
    with pytest.raises(
        InputError, match=r"makes 10 tokens, and this network has positions for a grid of \(2, 4\)"
    ):
        network.audio(torch.zeros(2, 1, 32, 58))
    with pytest.raises(
        InputError, match=r"makes 32 tokens, and this network has positions for a grid of \(1, 4, 4\)"
    ):
        network.vision(torch.zeros(1, 1, 3, 4, 224, 224))


def test_the_other_modalities_of_the_official_checkpoint_are_left_out() -> None:
    network = tiny()
    others = {
        "modality_trunks.text.blocks.0.norm_1.bias": torch.zeros(3),
        "modality_heads.imu.0.bias": torch.ones(3),
    }
    loaded = load_state(network, {**network.state_dict(), **others}, "huge.pth", ignored=NOT_BUILT)
    assert loaded.ignored == tuple(others)
    assert loaded.new == ()
    with pytest.raises(
        InputError, match=r"2 unexpected \(modality_trunks.text.blocks.0.norm_1.bias, modality_heads"
    ):
        load_state(network, {**network.state_dict(), **others}, "huge.pth")


def test_gradients_reach_every_parameter() -> None:
    network = tiny(audio_drop_path=0.0).train()
    loss = network.vision(torch.randn(2, 3, 224, 224)).sum() + network.audio(torch.randn(2, 1, 32, 48)).sum()
    loss.backward()
    # Softmax ignores what all keys have in common, so their bias alone may get no gradient beside bias_k.
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
