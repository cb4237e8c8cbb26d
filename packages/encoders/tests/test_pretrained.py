"""Encoders with networks: what they say of themselves, and what they make of clips with tiny networks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchaudio.compliance.kaldi  # noqa: F401 - not first on the meta device, where its constants would stay
from safetensors.torch import save_file
from torch import Tensor, nn

from blended.data import InputError
from blended.data.media import Frames, Waveform
from blended.encoders import (
    clip,
    dinov2,
    encoder_config,
    hicmae,
    imagebind,
    videomae2,
    videoswin,
)
from blended.encoders.device import num_parameters
from blended.encoders.encoder import RANDOM, AudioStream, AudioVisual, AudioVisualStream, Encoder, VideoStream
from blended.encoders.networks.config import VIDEOMAE2_SIZES, BlockConfig, ImageBindConfig, VideoMAEv2Config
from blended.encoders.networks.hicmae.config import BACKBONES, BackboneConfig, FinetuneConfig, StreamConfig
from blended.encoders.networks.hicmae.network import HiCMAEClassifier
from blended.encoders.networks.hicmae.pretrain import HiCMAEAutoencoder
from blended.encoders.networks.imagebind import ImageBind
from blended.encoders.networks.videomae2 import VideoMAEv2
from blended.encoders.pictures import Preparation, Windows
from blended.encoders.sound import spectrogram
from blended.encoders.table import ENCODERS
from blended.encoders.weights import Pretrained
from toys.clips import brightness_at, write_clip

VARIANTS: list[Any] = [
    *(name for name, kind in ENCODERS.items() if kind.weighted),
    {"name": "wavlm-large", "layers": "6-12"},
    {"name": "clip", "model": "ViT-L/14"},
    *({"name": "dinov2", "size": size} for size in ("small", "large", "giant")),
    {"name": "videomae2", "size": "base", "preprocess": "blemore-official", "frame_rate_hz": 12.5},
    {"name": "hicmae", "size": "small", "stride_frames": 4},
]


@pytest.mark.parametrize("fields", VARIANTS, ids=str)
def test_what_a_config_says_is_what_it_builds(fields: Any):
    """Published sizes, without memory for their parameters."""
    config = encoder_config(fields)
    assert isinstance(config, Pretrained) and config.licence and config.source.page
    with torch.device("meta"):
        encoder: Any = config.build(device="meta", weights=RANDOM)
    assert isinstance(encoder, Encoder)
    assert encoder.output == config.output
    assert num_parameters(encoder.network) == config.num_parameters
    assert not encoder.network.training
    assert not any(parameter.requires_grad for parameter in encoder.network.parameters())


@pytest.mark.parametrize("fields", [*ENCODERS, "timm:resnet50"])
def test_no_untrained_network_by_accident(fields: str):
    config = encoder_config(fields)
    if config.weighted:
        with pytest.raises(
            InputError, match=rf"encoder {config.name} has no weights here .*--random-weights"
        ):
            config.build()


def pictures(count: int = 20, rate_hz: float = 25.0, height: int = 48, seed: int = 0) -> Frames:
    rng = np.random.default_rng(seed)
    return Frames(rng.integers(0, 256, (count, height, 64, 3), dtype=np.uint8), rate_hz, 0.0)


def sound(seconds: float, seed: int = 0) -> Waveform:
    values = np.random.default_rng(seed).normal(size=round(seconds * 16000)) * 0.1
    return Waveform(values.astype(np.float32), 16000, 0.0)


def small(preparation: Preparation, size: int) -> Preparation:
    fields = {name: getattr(preparation, name) for name in preparation.__dataclass_fields__}
    return Preparation(**{**fields, "size": size, "shorter_side": size})


TINY_VIT = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "projection_dim": 8,
}


@pytest.fixture
def tiny_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(clip.FIELDS, "ViT-B/32", TINY_VIT)  # pyright: ignore[reportArgumentType]
    monkeypatch.setitem(clip.DIMS, "ViT-B/32", 8)


def test_every_picture_gets_the_vector_that_the_library_gives_it(tiny_clip: None):
    from transformers import CLIPImageProcessor

    encoder: Any = encoder_config({"name": "clip", "precision": "float32"}).build(weights=RANDOM)
    clips = [pictures(70), pictures(3, seed=1)]
    encoded = [one["output"] for one in encoder.encode(clips)]
    for item, features in zip(clips, encoded, strict=True):
        given = CLIPImageProcessor()([*item.values], return_tensors="pt")
        with torch.inference_mode():
            expected = encoder.network(**given).image_embeds.numpy()
        np.testing.assert_allclose(features.values, expected, atol=1e-5)
        assert features.rate_hz == 5.0
    assert encoder.stream == VideoStream(5.0, None, max_short_side=448)


def test_official_clip_files_load_with_their_text_side_left_out(tiny_clip: None, tmp_path: Path):
    from transformers import CLIPConfig, CLIPModel

    whole = CLIPModel(
        CLIPConfig(
            vision_config={k: v for k, v in TINY_VIT.items() if k != "projection_dim"},
            text_config={
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_attention_heads": 2,
                "vocab_size": 9,
            },
            projection_dim=8,
        )
    ).eval()
    torch.save(whole.state_dict(), tmp_path / "pytorch_model.bin")
    encoder: Any = encoder_config("clip").build(weights=tmp_path / "pytorch_model.bin")
    pixels = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        expected = whole.visual_projection(whole.vision_model(pixels).pooler_output)
        torch.testing.assert_close(encoder.network(pixels).image_embeds, expected)
    state = {n: v.clone() for n, v in whole.state_dict().items() if n != "visual_projection.weight"}
    save_file(state, tmp_path / "gap.safetensors")
    with pytest.raises(InputError, match=r"1 missing \(visual_projection.weight\)"):
        encoder_config("clip").build(weights=tmp_path / "gap.safetensors")


def test_dinov2_positions_fit_pictures_of_224(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(
        dinov2.FIELDS, "small", {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    )  # pyright: ignore[reportArgumentType]
    encoder: Any = encoder_config({"name": "dinov2", "size": "small"}).build(weights=RANDOM)
    assert encoder.encode([pictures(2)])[0]["output"].values.shape == (2, 16)
    assert encoder.network.embeddings.position_embeddings.shape[1] == 1 + (518 // 14) ** 2


def test_timm_models_are_loaded_without_their_classifier(tmp_path: Path):
    import timm

    config = encoder_config({"name": "timm:resnet18", "rate_hz": 2})
    assert config.name == "timm--resnet18"
    assert encoder_config(config.name) == encoder_config("timm:resnet18")
    model = timm.create_model("resnet18", pretrained=False).eval()
    save_file({n: v.clone() for n, v in model.state_dict().items()}, tmp_path / "model.safetensors")
    encoder: Any = config.build(weights=tmp_path / "model.safetensors")
    pixels = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        expected = model.forward_head(model.forward_features(pixels), pre_logits=True)
        torch.testing.assert_close(encoder.network(pixels), expected)
    assert (encoder.dim, encoder.rate_hz) == (512, 2.0)
    assert encoder.encode([pictures(2)])[0]["output"].values.shape == (2, 512)


def test_timm_models_that_do_not_exist_are_named():
    with pytest.raises(InputError, match=r"unknown timm model 'resnet5': did you mean 'resnet50'"):
        encoder_config("timm:resnet5").build(weights=RANDOM)
    for name in ("timm:../x", "timm:a/b", "hf:model", "hf:a/b/c"):
        with pytest.raises(InputError, match=r"encoder .* (expected|no family)"):
            encoder_config({"name": name, "kind": "frames"} if name.startswith("hf") else name)


def random_state(network: nn.Module) -> dict[str, Tensor]:
    return {name: torch.randn_like(value) * 0.1 for name, value in network.state_dict().items()}


TINY_VIDEO = VideoMAEv2Config(
    img_size=(32, 32), patch_size=(16, 16), num_frames=4, embed_dim=16, depth=2, num_heads=2
)


@pytest.mark.parametrize("preprocess", ["standard", "blemore-official"])
def test_videomae2_windows(preprocess: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Against the network by hand, from an official file with its classifier."""
    monkeypatch.setitem(VIDEOMAE2_SIZES, "base", TINY_VIDEO)
    tiny = {name: small(given, 32) for name, given in videomae2.PREPARATIONS.items()}
    monkeypatch.setattr(videomae2, "PREPARATIONS", tiny)
    official = VideoMAEv2(TINY_VIDEO.model_copy(update={"num_classes": 5})).eval()
    official.load_state_dict(random_state(official))
    torch.save({"module": official.state_dict()}, tmp_path / "vit.pth")
    fields = {"name": "videomae2", "size": "base", "preprocess": preprocess, "stride_frames": 4}
    encoder: Any = encoder_config(fields).build(weights=tmp_path / "vit.pth")
    item = pictures(9, height=64)
    values = encoder.encode([item, pictures(4, seed=2)])[0]["output"].values
    prepared = tiny[preprocess].normalised(tiny[preprocess].pixels(item.values))
    last = torch.zeros(4, 3, 32, 32)
    last[0] = prepared[8]
    windows = [prepared[:4], prepared[4:8], *([last] if preprocess == "blemore-official" else [])]
    with torch.inference_mode():
        expected = official.features(torch.stack(windows).transpose(1, 2)).numpy()
    np.testing.assert_allclose(values, expected, atol=1e-5)
    assert encoder.rate_hz == 25 / 4


def test_videomae_features_are_those_before_its_classifier(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import transformers

    from blended.encoders import videomae

    real = transformers.VideoMAEConfig
    tiny = {k: v for k, v in TINY_VIT.items() if k != "projection_dim"} | {"image_size": 32}
    monkeypatch.setattr(transformers, "VideoMAEConfig", lambda **fields: real(**fields, **tiny))
    monkeypatch.setattr(videomae, "PREPARATION", small(videomae.PREPARATION, 32))
    model = transformers.VideoMAEForVideoClassification(real(num_labels=400, **tiny)).eval()
    model.load_state_dict(random_state(model))
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    encoder: Any = encoder_config("videomae").build(weights=tmp_path / "pytorch_model.bin")
    item = pictures(16)
    values = encoder.encode([item])[0]["output"].values
    assert values.shape == (1, 16)
    pixels = videomae.PREPARATION.normalised(videomae.PREPARATION.pixels(item.values))[None]
    with torch.inference_mode():
        logits = model(pixels).logits
        np.testing.assert_allclose(
            model.classifier(torch.from_numpy(values)).numpy(), logits.numpy(), atol=1e-5
        )


def test_videoswin_windows_overlap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from torchvision.models import video

    def tiny(weights: None = None) -> nn.Module:
        return video.SwinTransformer3d([2, 4, 4], 8, [1] * 4, [1] * 4, [8, 7, 7])

    monkeypatch.setattr(videoswin, "PREPARATION", small(videoswin.PREPARATION, 32))
    monkeypatch.setattr(video, "swin3d_b", tiny)
    model: Any = tiny().eval()
    torch.save(model.state_dict(), tmp_path / "swin.pth")
    encoder: Any = encoder_config("videoswin").build(weights=tmp_path / "swin.pth")
    item = pictures(48)
    values = encoder.encode([item])[0]["output"].values
    assert values.shape == (2, 64)
    pixels = videoswin.PREPARATION.normalised(videoswin.PREPARATION.pixels(item.values))
    with torch.inference_mode():
        logits = model(pixels[16:48].transpose(0, 1)[None])
        np.testing.assert_allclose(
            model.head(torch.from_numpy(values[1:])).numpy(), logits.numpy(), atol=1e-4
        )


TINY_BIND = ImageBindConfig(
    out_embed_dim=8,
    vision_embed_dim=16,
    vision_num_blocks=2,
    vision_num_heads=2,
    audio_embed_dim=16,
    audio_num_blocks=2,
    audio_num_heads=2,
)


@pytest.fixture
def tiny_imagebind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[ImageBind, Path]:
    """A tiny network with both trunks, and its official file with a third modality."""

    class Tiny:
        @staticmethod
        def model_validate(given: dict[str, int]) -> ImageBindConfig:
            return TINY_BIND.model_copy(update=given)

    monkeypatch.setattr(imagebind, "ImageBindConfig", Tiny)
    whole = ImageBind(TINY_BIND).eval()
    whole.load_state_dict(random_state(whole))
    state = {n: v.clone() for n, v in whole.state_dict().items()}
    state["modality_trunks.text.blocks.0.norm_1.weight"] = torch.zeros(3)
    torch.save(state, tmp_path / "imagebind_huge.pth")
    return whole, tmp_path / "imagebind_huge.pth"


def test_imagebind_pictures(tiny_imagebind: tuple[ImageBind, Path]):
    whole, file = tiny_imagebind
    encoder: Any = encoder_config("imagebind-vision").build(weights=file)
    values = encoder.encode([pictures(3)])[0]["output"].values
    preparation = imagebind.PREPARATION
    with torch.inference_mode():
        expected = whole.vision(preparation.normalised(preparation.pixels(pictures(3).values))).numpy()
    np.testing.assert_allclose(values, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-5)
    assert not any(".audio." in name for name in encoder.network.state_dict())


def test_imagebind_sounds(tiny_imagebind: tuple[ImageBind, Path]):
    whole, file = tiny_imagebind
    encoder: Any = encoder_config({"name": "imagebind-audio", "stride_seconds": 1.0}).build(weights=file)
    item = sound(3.6)
    values = encoder.encode([item, sound(0.3)])[0]["output"].values
    assert values.shape == (3, 8) and encoder.rate_hz == 1.0
    bank = (spectrogram(item.values[16000:48000], 204).T - -4.268) / 9.138
    with torch.inference_mode():
        expected = whole.audio(torch.from_numpy(bank.astype(np.float32))[None, None])[0].numpy()
    np.testing.assert_allclose(values[1], expected, atol=1e-4)
    assert imagebind.spectrograms(item, 1.0).shape == (3, 1, 128, 204)
    assert not any(".vision." in name for name in encoder.network.state_dict())


TINY_HICMAE = BackboneConfig(
    video=StreamConfig(size=(32, 32), in_chans=3, dim=16, num_heads=2, depth=4),
    audio=StreamConfig(size=(256, 128), in_chans=1, dim=16, num_heads=2, depth=4),
    fusion_num_heads=2,
    num_frames=4,
    blocks=BlockConfig(),
)


@pytest.fixture
def tiny_hicmae(monkeypatch: pytest.MonkeyPatch) -> BackboneConfig:
    monkeypatch.setitem(BACKBONES, "small", TINY_HICMAE)
    monkeypatch.setattr(hicmae, "PREPARATION", small(hicmae.PREPARATION, 32))
    return TINY_HICMAE


def test_hicmae_hears_what_it_sees(tiny_hicmae: BackboneConfig, tmp_path: Path):
    """From an official file of the classifier, with sound that starts a quarter of a second late."""
    official = HiCMAEClassifier(FinetuneConfig(backbone=tiny_hicmae, num_classes=6)).eval()
    official.load_state_dict(random_state(official))
    torch.save({"model": official.state_dict()}, tmp_path / "hicmae.pth")
    config = {"name": "hicmae", "size": "small", "frame_rate_hz": 10, "stride_frames": 4}
    encoder: Any = encoder_config(config).build(weights=tmp_path / "hicmae.pth")
    late = Waveform(sound(2.0).values, 16000, 0.25)
    item = AudioVisual(pictures(8, rate_hz=10.0), late)
    short = AudioVisual(pictures(2, rate_hz=10.0, seed=3), sound(0.2))
    values = encoder.encode([item, short])[0]["output"].values
    assert values.shape == (2, 64) and encoder.rate_hz == 2.5
    # Frames 4 to 7 are on screen from 0.4 to 0.7 seconds, where the sound is 0.15 to 0.45 seconds old.
    bank = spectrogram(late.values[round(0.15 * 16000) : round(0.45 * 16000)], 256)
    bank = torch.from_numpy(((bank + 4.2677393) / (2 * 4.5689974)).astype(np.float32))
    pixels = hicmae.PREPARATION.normalised(hicmae.PREPARATION.pixels(item.frames.values[4:8]))
    with torch.inference_mode():
        expected = official.features(pixels.transpose(0, 1)[None], bank[None, None])[0].numpy()
    np.testing.assert_allclose(values[1], expected, atol=1e-5)


def test_hicmae_starts_from_pretraining_too(tiny_hicmae: BackboneConfig, tmp_path: Path):
    from blended.encoders.networks.hicmae.config import DecoderConfig, PretrainConfig

    config = PretrainConfig(
        backbone=tiny_hicmae,
        decoder_video=DecoderConfig(num_values=1536, dim=8, num_heads=2, depth=3),
        decoder_audio=DecoderConfig(num_values=256, dim=8, num_heads=2, depth=3),
        intermediate_layers=(1, 2),
    )
    pretrained = HiCMAEAutoencoder(config)
    torch.save({"model": pretrained.state_dict()}, tmp_path / "pretrained.pth")
    fields = {"name": "hicmae", "size": "small"}
    encoder: Any = encoder_config(fields).build(weights=tmp_path / "pretrained.pth")
    ours = encoder.network.state_dict()
    for name, value in pretrained.state_dict().items():
        if name in ours:
            assert torch.equal(ours[name], value), name
    assert torch.equal(ours["video_layer_weights"], torch.full((4,), 0.25))


def test_sound_of_a_stretch_without_sound_is_silence():
    late = AudioVisual(pictures(16, rate_hz=8.0), Waveform(sound(0.1).values, 16000, 30.0))
    banks = hicmae.spectrograms(late, Windows(8.0, 16, 16))
    assert banks.shape == (1, 1, 256, 128) and np.isfinite(banks).all()


def test_both_tracks_are_read_on_one_clock(tmp_path: Path):
    path = write_clip(tmp_path / "clip.mkv", seconds=1.0, audio_start_seconds=0.25, audio_seconds=1.0)
    stream = AudioVisualStream(VideoStream(10.0, (32, 32)), AudioStream(16000))
    read = stream.read(path)
    assert read.frames.values.shape == (10, 32, 32, 3)
    assert read.start_seconds == pytest.approx(0.25, abs=0.03)
    assert read.duration_seconds == pytest.approx(0.75, abs=0.06)
    assert hash(stream) == hash(AudioVisualStream(VideoStream(10.0, (32, 32)), AudioStream(16000)))


@pytest.mark.parametrize(("limit", "expected"), [(32, (32, 64)), (200, (64, 128)), (None, (64, 128))])
def test_large_pictures_are_scaled_down_with_their_shape(
    limit: int | None, expected: tuple[int, int], tmp_path: Path
):
    path = write_clip(tmp_path / "clip.mp4", seconds=0.4, size=(64, 128), with_audio=False)
    read = VideoStream(5.0, None, max_short_side=limit).read(path)
    assert read.values.shape[1:3] == expected
    assert abs(float(read.values[1, : expected[0] // 2 - 2].mean()) - brightness_at(0.2)) < 3
