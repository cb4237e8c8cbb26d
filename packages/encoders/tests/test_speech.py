"""Speech encoders: the network against torchaudio's, batches against single clips, waveforms against the
library's own normalisation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchaudio
from safetensors.torch import save_file
from torch import nn
from torchaudio.models.wav2vec2.utils import import_huggingface_model

from blended.data import InputError
from blended.data.media import Waveform
from blended.encoders import encoder_config
from blended.encoders.device import num_parameters
from blended.encoders.encoder import RANDOM, Output
from blended.encoders.networks.config import Architecture
from blended.encoders.networks.speech import (
    SpeechRun,
    build_speech,
    encode_speech,
    prepared,
    speech_network,
)
from blended.encoders.speech import LARGE, MODELS
from blended.encoders.weights import Pretrained

PUBLISHED = {name: model.architecture for name, model in MODELS.items()}
FACTORIES: dict[str, Callable[[], nn.Module]] = {
    "wavlm-base": torchaudio.models.wavlm_base,
    "wavlm-large": torchaudio.models.wavlm_large,
    "hubert-large": torchaudio.models.hubert_large,
    "wav2vec2": torchaudio.models.wav2vec2_base,
}
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


def tiny(family: Any, *, large: bool, normalise: bool = True) -> Architecture:
    """A network of three layers with the norms of a base or a large one."""
    fields = {**(LARGE if large else {}), **TINY}
    return Architecture(family, 3, 16, normalise, 0, fields)


def sounds(seed: int = 0) -> list[Waveform]:
    rng = np.random.default_rng(seed)
    lengths = [16000, 5000, 11111, 400, 5000]
    return [Waveform(rng.normal(size=n).astype(np.float32) * 0.01, 16000, 0.0) for n in lengths]


TINY_KINDS = [(family, large) for family in ("WavLM", "Hubert", "Wav2Vec2") for large in (False, True)]


@pytest.mark.parametrize(("family", "large"), TINY_KINDS)
def test_layers_are_those_of_torchaudio(family: Any, large: bool):
    architecture = tiny(family, large=large)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        original = architecture.model()(architecture.config()).eval()
        for parameter in original.parameters():  # Biases and norms begin as constants, which hide mistakes.
            nn.init.normal_(parameter, std=0.3)
    independent = import_huggingface_model(original).eval()
    layers = tuple(str(number) for number in range(4))
    samples = torch.from_numpy(prepared(sounds()[2].values, normalise=True))
    ours = SpeechRun(original, layers, "cpu", "as-device")([samples])[0]
    with torch.inference_mode():
        theirs, _ = independent.extract_features(samples[None])
        output, _ = independent(samples[None])
    for number, layer in enumerate(theirs[:-1], start=1):
        np.testing.assert_allclose(ours[str(number)], layer[0].numpy(), atol=1e-5, rtol=1e-5)
    # The last layer is the network's output: large networks normalise it.
    np.testing.assert_allclose(ours["3"], output[0].numpy(), atol=1e-5, rtol=1e-5)
    assert ours["0"].shape == ours["3"].shape


@pytest.mark.parametrize("name", FACTORIES)
def test_published_sizes_have_the_parameters_of_torchaudio(name: str):
    with torch.device("meta"):
        ours = PUBLISHED[name].model()(PUBLISHED[name].config())
        theirs = FACTORIES[name]()
    config = encoder_config(name)
    assert isinstance(config, Pretrained)
    assert num_parameters(ours) == num_parameters(theirs) == config.num_parameters
    assert config.output.dim == ours.config.hidden_size and config.output.layers == (
        str(ours.config.num_hidden_layers),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", FACTORIES)
def test_published_sizes_give_the_layers_of_torchaudio(name: str):
    """Half a second of sound through untrained networks of up to 315 million parameters."""
    network = speech_network(PUBLISHED[name], RANDOM).eval()
    with torch.device("meta"):
        plain = PUBLISHED[name].model()(network.config).eval()
    plain.load_state_dict(network.state_dict(), assign=True)
    independent = import_huggingface_model(plain).eval()
    layers = tuple(str(number) for number in range(PUBLISHED[name].num_layers + 1))
    samples = torch.from_numpy(prepared(sounds()[0].values[:8000], normalise=True))
    ours = SpeechRun(network, layers, "cpu", "as-device")([samples])[0]
    with torch.inference_mode():
        theirs, _ = independent.extract_features(samples[None])
        output, _ = independent(samples[None])
    for number, layer in enumerate([*theirs[:-1], output], start=1):
        np.testing.assert_allclose(ours[str(number)], layer[0].numpy(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "bundle"),
    [("wavlm-base", "WAVLM_BASE"), ("wavlm-large", "WAVLM_LARGE"), ("hubert-large", "HUBERT_LARGE")],
)
def test_waveforms_are_normalised_as_in_torchaudio(name: str, bundle: str):
    assert PUBLISHED[name].normalise is getattr(torchaudio.pipelines, bundle)._normalize_waveform


@pytest.mark.parametrize(("family", "large"), TINY_KINDS)
def test_padded_batches_equal_single_clips(family: Any, large: bool):
    network = speech_network(tiny(family, large=large), RANDOM).eval()
    run = SpeechRun(network, ("0", "2", "3"), "cpu", "as-device")
    clips = sounds()
    together = encode_speech(clips, run, normalise=True, seconds_at_once=100.0)
    for clip, encoded in zip(clips, together, strict=True):
        alone = encode_speech([clip], run, normalise=True)[0]
        assert encoded.keys() == alone.keys() == {"0", "2", "3"}
        for layer, values in alone.items():
            assert values.shape == ((len(clip.values) - 400) // 320 + 1, 16)
            np.testing.assert_allclose(encoded[layer], values, atol=1e-5, rtol=1e-4)


def test_groups_of_about_one_length_do_not_change_the_order():
    run = SpeechRun(speech_network(tiny("WavLM", large=True), RANDOM).eval(), ("3",), "cpu", "as-device")
    clips = sounds()
    apart = encode_speech(clips, run, normalise=True, seconds_at_once=0.1)
    together = encode_speech(clips, run, normalise=True, seconds_at_once=100.0)
    for one, other in zip(apart, together, strict=True):
        np.testing.assert_allclose(one["3"], other["3"], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("do_normalise", [True, False])
def test_waveforms_are_those_of_the_library(do_normalise: bool):
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor(do_normalize=do_normalise)
    for clip in sounds():
        theirs = extractor(clip.values, sampling_rate=16000, return_tensors="np").input_values[0]
        np.testing.assert_allclose(prepared(clip.values, normalise=do_normalise), theirs, atol=1e-5)


def test_a_sound_shorter_than_a_step_is_followed_by_silence():
    assert len(prepared(np.ones(7, np.float32), normalise=False)) == 400
    with pytest.raises(InputError, match="without a sample"):
        prepared(np.zeros(0, np.float32), normalise=True)


def test_quiet_clips_can_always_be_normalised():
    """Group norm has an epsilon that swallows a clip at -67 dB unless it is scaled up first."""
    architecture = tiny("WavLM", large=False, normalise=False)
    quiet = [Waveform(sounds()[0].values * 0.01, 16000, 0.0)]
    loud = [Waveform(sounds()[0].values * 100, 16000, 0.0)]

    def encoded(clip: list[Waveform], normalise: Any) -> np.ndarray:
        output = Output(16, 50.0, ("3",))
        encoder = build_speech(
            architecture, output, normalise=normalise, precision="float32", device="cpu", weights=RANDOM
        )
        return encoder.encode(clip)[0]["3"].values

    np.testing.assert_allclose(encoded(quiet, "always"), encoded(loud, "always"), atol=1e-3)
    assert np.abs(encoded(quiet, "as-trained") - encoded(loud, "as-trained")).max() > 0.1


@pytest.mark.parametrize("conv_bias", [False, True])
def test_official_files_load_whole(conv_bias: bool, tmp_path: Path):
    """As published: a prefix, weight norm under its old names, heads that are not needed."""
    architecture = tiny("Hubert", large=True)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        original = architecture.model()(architecture.config(conv_bias=conv_bias)).eval()
    state = {
        "hubert."
        + name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value.clone()
        for name, value in original.state_dict().items()
    } | {"final_proj.weight": torch.zeros(3, 3)}
    torch.save(state, tmp_path / "pytorch_model.bin")
    loaded = speech_network(architecture, tmp_path / "pytorch_model.bin").eval()
    samples = [torch.from_numpy(prepared(sounds()[0].values, normalise=True))]
    theirs = SpeechRun(original, ("3",), "cpu", "as-device")(samples)[0]["3"]
    np.testing.assert_array_equal(SpeechRun(loaded, ("3",), "cpu", "as-device")(samples)[0]["3"], theirs)


def test_a_gap_in_a_file_is_an_error(tmp_path: Path):
    architecture = tiny("WavLM", large=True)
    state = {n: v.clone() for n, v in architecture.model()(architecture.config()).state_dict().items()}
    removed = state.pop("encoder.layers.1.attention.k_proj.weight")
    save_file(state, tmp_path / "gap.safetensors")
    with pytest.raises(
        InputError, match=r"gap.safetensors: .* 1 missing \(encoder.layers.1.attention.k_proj"
    ):
        speech_network(architecture, tmp_path / "gap.safetensors")
    state["encoder.layers.1.attention.k_proj.weight"] = removed[:3].clone()
    save_file(state, tmp_path / "shape.safetensors")
    with pytest.raises(InputError, match="1 of another shape"):
        speech_network(architecture, tmp_path / "shape.safetensors")


def test_untrained_networks_are_always_the_same():
    first, second = (speech_network(tiny("WavLM", large=False), RANDOM) for _ in range(2))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other)
