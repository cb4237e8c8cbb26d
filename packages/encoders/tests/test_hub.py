"""Any model of transformers, from a local copy of its repository: tiny ones, made here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from blended.data import InputError
from blended.data.media import Frames, Waveform
from blended.encoders import encoder_config
from blended.encoders.encoder import RANDOM, AudioStream, AudioVisual, AudioVisualStream, VideoStream

VISION: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 16,
}
TEXT: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 50,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
SPEECH: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}


@pytest.fixture(scope="module")
def pictures() -> Frames:
    values = np.random.default_rng(0).integers(0, 256, (20, 70, 90, 3), dtype=np.uint8)
    return Frames(values, 12.5, 0.0)


@pytest.fixture(scope="module")
def sound() -> Waveform:
    return Waveform(np.random.default_rng(0).normal(size=20000).astype(np.float32), 16000, 0.0)


def saved(folder: Path, *parts: Any) -> Path:
    for part in parts:
        part.save_pretrained(folder)
    return folder


def siglip(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    config = SiglipConfig(vision_config={**VISION, "image_size": 32}, text_config=TEXT)
    return saved(folder, SiglipModel(config), SiglipImageProcessor(size={"height": 32, "width": 32}))


def siglip2(folder: Path) -> Path:
    """With pictures of any shape, which are cut into patches by the processor."""
    from transformers import Siglip2Config, Siglip2ImageProcessor, Siglip2Model

    config = Siglip2Config(vision_config={**VISION, "num_patches": 16}, text_config=TEXT)
    return saved(folder, Siglip2Model(config), Siglip2ImageProcessor(patch_size=16, max_num_patches=16))


def vjepa2(folder: Path) -> Path:
    from transformers import VJEPA2Config, VJEPA2Model, VJEPA2VideoProcessor

    config = VJEPA2Config(
        patch_size=16,
        crop_size=32,
        frames_per_clip=4,
        hidden_size=24,
        num_attention_heads=2,
        num_hidden_layers=2,
        pred_hidden_size=24,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
    )
    return saved(folder, VJEPA2Model(config), VJEPA2VideoProcessor(crop_size=32))


def wav2vec2(folder: Path) -> Path:
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    return saved(folder, Wav2Vec2Model(Wav2Vec2Config(**SPEECH)), Wav2Vec2FeatureExtractor())


def ast(folder: Path) -> Path:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    fields = {name: value for name, value in VISION.items() if name != "patch_size"}
    return saved(folder, ASTModel(ASTConfig(**fields, max_length=128)), ASTFeatureExtractor(max_length=128))


@pytest.mark.parametrize("make", [siglip, siglip2])
def test_pictures_get_the_models_image_embedding(
    make: Callable[[Path], Path], pictures: Frames, tmp_path: Path
):
    from transformers import AutoImageProcessor, AutoModel

    folder = make(tmp_path / "model")
    encoder: Any = encoder_config("hf:google/siglip2-tiny").build(weights=folder)
    values = encoder.encode([pictures])[0]["output"].values
    given = AutoImageProcessor.from_pretrained(folder)([*pictures.values], return_tensors="pt")
    with torch.inference_mode():
        expected = AutoModel.from_pretrained(folder).eval().get_image_features(**given).pooler_output
    np.testing.assert_allclose(values, expected.numpy(), atol=1e-5)
    assert (encoder.dim, encoder.rate_hz, len(values)) == (16, 5.0, 20)
    assert isinstance(encoder.stream, VideoStream)


def test_windows_get_the_mean_token_of_v_jepa_2(pictures: Frames, tmp_path: Path):
    from transformers import VJEPA2Model, VJEPA2VideoProcessor

    folder = vjepa2(tmp_path / "model")
    fields = {"name": "hf:facebook/vjepa2-tiny", "frame_rate_hz": 12.5, "stride_seconds": 0.32}
    encoder: Any = encoder_config(fields).build(weights=folder)
    values = encoder.encode([pictures])[0]["output"].values
    assert values.shape == (5, 24) and encoder.rate_hz == 12.5 / 4
    processor = VJEPA2VideoProcessor.from_pretrained(folder)
    window = torch.from_numpy(pictures.values[4:8]).permute(0, 3, 1, 2)
    given = processor(window, return_tensors="pt")
    with torch.inference_mode():
        model = VJEPA2Model.from_pretrained(folder).eval()
        expected = model(**given, skip_predictor=True).last_hidden_state.mean(dim=1)[0]
    np.testing.assert_allclose(values[1], expected.numpy(), atol=1e-5)


def test_models_of_the_waveform_give_layers(sound: Waveform, tmp_path: Path):
    from transformers import Wav2Vec2Model

    folder = wav2vec2(tmp_path / "model")
    config = encoder_config({"name": "hf:facebook/wav2vec2-tiny", "layers": "1-3"})
    encoder: Any = config.build(weights=folder)
    encoded = encoder.encode([sound])[0]
    assert encoder.layers == ("1", "2", "3") and encoder.rate_hz == 50.0
    assert encoder.stream == AudioStream(16000)
    centred = (sound.values - sound.values.mean()) / np.sqrt(sound.values.var() + 1e-7)
    with torch.inference_mode():
        model = Wav2Vec2Model.from_pretrained(folder).eval()
        result = model(torch.from_numpy(centred)[None], output_hidden_states=True)
    np.testing.assert_allclose(encoded["3"].values, result.last_hidden_state[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(encoded["1"].values, result.hidden_states[1][0].numpy(), atol=1e-5)


def test_models_of_spectrograms_give_one_vector_per_clip(sound: Waveform, tmp_path: Path):
    encoder: Any = encoder_config("hf:MIT/ast-tiny").build(weights=ast(tmp_path / "model"))
    assert encoder.layers == ("output",) and encoder.rate_hz == 0.0
    assert encoder.encode([sound, sound])[1]["output"].values.shape == (1, 16)


def test_a_gap_in_the_weights_is_an_error(tmp_path: Path):
    folder = siglip(tmp_path / "model")
    state = load_file(folder / "model.safetensors")
    state.pop("vision_model.post_layernorm.weight")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        InputError, match=r"1 missing \(vision_model.post_layernorm.weight\) for a SiglipModel"
    ):
        encoder_config("hf:google/siglip-tiny").build(weights=folder)


def test_folders_that_are_no_model(tmp_path: Path):
    config = encoder_config("hf:google/siglip-tiny")
    with pytest.raises(
        InputError, match=r"holds no config.json, expected a local copy .* `blended encoders fetch"
    ):
        config.build(weights=tmp_path)
    with pytest.raises(InputError, match="no untrained form"):
        config.build(weights=RANDOM)
    (tmp_path / "config.json").write_text('{"model_type": "unheard-of"}')
    with pytest.raises(InputError, match=r"cannot be loaded as a model of transformers"):
        config.build(weights=tmp_path)
    with pytest.raises(InputError, match="no settings for its AutoImageProcessor"):
        encoder_config({"name": "hf:x/wav2vec2", "kind": "frames"}).build(weights=ast(tmp_path / "ast"))


def pe_audio_video(folder: Path) -> Path:
    """Sound through a small codec, pictures through a small timm network, both through one transformer."""
    from transformers import (
        PeAudioFeatureExtractor,
        PeAudioVideoConfig,
        PeAudioVideoModel,
        PeVideoVideoProcessor,
    )

    block: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 8,
    }
    codec: dict[str, Any] = {
        "encoder_hidden_size": 8,
        "downsampling_ratios": [4, 4, 4, 5],
        "decoder_hidden_size": 16,
        "codebook_dim": 8,
    }
    pictures: dict[str, Any] = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 8,
        "model_args": {"img_size": 32, "depth": 1},
    }
    config = PeAudioVideoConfig(
        text_config=TEXT,
        audio_video_config={
            **block,
            "audio_config": {**block, "dac_config": codec},
            "video_config": {**block, "vision_config": pictures},
        },
    )
    processor = PeVideoVideoProcessor(
        do_resize=True,
        size={"height": 32, "width": 32},
        do_rescale=True,
        do_normalize=True,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return saved(folder, PeAudioVideoModel(config), PeAudioFeatureExtractor(), processor)


def test_pictures_and_sound_together_give_one_vector_per_clip(tmp_path: Path):
    from transformers import AutoFeatureExtractor, AutoModel, AutoVideoProcessor

    folder = pe_audio_video(tmp_path / "model")
    config = encoder_config("hf:facebook/pe-av-tiny")
    encoder: Any = config.build(weights=folder)
    assert config.modality == "audio-visual" and encoder.rate_hz == 0.0
    assert isinstance(encoder.stream, AudioVisualStream) and encoder.stream.audio == AudioStream(48000)
    rng = np.random.default_rng(1)
    frames = Frames(rng.integers(0, 256, (9, 40, 50, 3), dtype=np.uint8), 5.0, 0.0)
    waves = Waveform((rng.normal(size=90000) * 0.1).astype(np.float32), 48000, 0.0)
    values = encoder.encode([AudioVisual(frames, waves)])[0]["output"].values
    heard = AutoFeatureExtractor.from_pretrained(folder)(
        waves.values, sampling_rate=48000, return_tensors="pt"
    )
    tensors = torch.from_numpy(frames.values).permute(0, 3, 1, 2)
    seen = AutoVideoProcessor.from_pretrained(folder)(tensors, do_sample_frames=False, return_tensors="pt")
    model = AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        result = model.get_audio_video_embeds(
            input_values=heard["input_values"], pixel_values_videos=seen["pixel_values_videos"]
        )
    np.testing.assert_allclose(values, result.audio_video_embeds.numpy(), atol=1e-5)
    assert values.shape == (1, encoder.dim)
