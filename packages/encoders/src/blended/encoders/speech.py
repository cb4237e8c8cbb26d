"""Speech encoders: WavLM, HuBERT and wav2vec 2.0, all layers of 50 steps per second.

WavLM: Chen et al. (2022), "WavLM: large-scale self-supervised pre-training for full stack speech processing",
arXiv 2110.13900. HuBERT large (on Libri-Light, ll60k): Hsu et al. (2021), "HuBERT: self-supervised speech
representation learning by masked prediction of hidden units", arXiv 2106.07447. wav2vec 2.0 base: Baevski et
al. (2020), "wav2vec 2.0: a framework for self-supervised learning of speech representations", arXiv
2006.11477.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from blended.data.errors import unknown_name
from blended.data.media import Waveform
from blended.encoders.device import Precision
from blended.encoders.encoder import Modality, NetworkEncoder, Output
from blended.encoders.names import canonical, layer_range
from blended.encoders.networks.config import Architecture, Normalise
from blended.encoders.weights import Source, check_weights, hub_file

STEPS_PER_SECOND = 50.0


@dataclass(frozen=True, slots=True)
class SpeechModel:
    """A published network."""

    architecture: Architecture
    source: Source
    """Where its weights come from."""


LARGE: Mapping[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}

MODELS: dict[str, SpeechModel] = {
    "wavlm-base": SpeechModel(
        Architecture("WavLM", 12, 768, False, 94_381_168),
        hub_file("microsoft/wavlm-base", "pytorch_model.bin"),
    ),
    "wavlm-large": SpeechModel(
        Architecture("WavLM", 24, 1024, True, 315_452_096, LARGE),
        hub_file("microsoft/wavlm-large", "pytorch_model.bin"),
    ),
    "hubert-large": SpeechModel(
        Architecture("Hubert", 24, 1024, True, 315_434_112, LARGE),
        hub_file("facebook/hubert-large-ll60k", "pytorch_model.bin"),
    ),
    "wav2vec2": SpeechModel(
        Architecture("Wav2Vec2", 12, 768, True, 94_370_944),
        hub_file("facebook/wav2vec2-base", "pytorch_model.bin"),
    ),
}
"""By name."""


class SpeechConfig(BaseModel):
    """Layers of 50 steps per second from sound at 16 kHz."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"

    name: str
    layers: str = "last"
    """Which layers are stored: one (9), a range (6-12), last or all; 0 is the input of the first block."""
    normalise: Normalise = "as-trained"
    """`always` scales every clip to unit variance, for recordings that are very quiet."""
    precision: Precision = "as-device"
    """Of the matrix products."""

    @model_validator(mode="before")
    @classmethod
    def _canonical(cls, given: Any) -> Any:
        """Equal choices of layers are written in one way; raises InputError for layers that are not there."""
        if not isinstance(given, dict):
            return given
        name = str(given.get("name"))
        if name not in MODELS:
            raise unknown_name("network of this kind", name, MODELS)
        layers = layer_range(given.get("layers", "last"), MODELS[name].architecture.num_layers)
        return {**given, "layers": canonical(layers)}

    @property
    def model(self) -> SpeechModel:
        """What was published under the name."""
        return MODELS[self.name]

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return self.model.source

    @property
    def output(self) -> Output:
        """What the features look like."""
        architecture = self.model.architecture
        layers = layer_range(self.layers, architecture.num_layers)
        return Output(architecture.dim, STEPS_PER_SECOND, layers)

    @property
    def num_parameters(self) -> int:
        """Of the network."""
        return self.model.architecture.num_parameters

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Waveform]:
        """An encoder of sound; raises InputError without weights and for those of another network."""
        from blended.encoders.networks.speech import build_speech

        return build_speech(
            self.model.architecture,
            self.output,
            normalise=self.normalise,
            precision=self.precision,
            device=device,
            weights=check_weights(self, weights),
        )


class WavLMConfig(SpeechConfig):
    """The same of WavLM, which has another licence."""

    licence: ClassVar[str] = "CC-BY-SA-3.0 (microsoft/UniSpeech)"
