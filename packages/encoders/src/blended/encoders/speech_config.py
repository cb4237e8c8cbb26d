"""What the configs of WavLM, HuBERT and wav2vec 2.0 have in common: all but the table of their networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from blended.data.errors import unknown_name
from blended.data.media import Waveform
from blended.encoders.device import Precision
from blended.encoders.encoder import Modality, NetworkEncoder, Output
from blended.encoders.names import canonical, layer_range
from blended.encoders.speech import Normalise, SpeechModel, build_speech, speech_output
from blended.encoders.weights import Source, check_weights


class SpeechConfig(BaseModel):
    """Layers of 50 steps per second from sound at 16 kHz."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str]
    models: ClassVar[Mapping[str, SpeechModel]]
    """By name."""

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
        if name not in cls.models:
            raise unknown_name("network of this kind", name, cls.models)
        layers = layer_range(given.get("layers", "last"), cls.models[name].architecture.num_layers)
        return {**given, "layers": canonical(layers)}

    @property
    def model(self) -> SpeechModel:
        """What was published under the name."""
        return self.models[self.name]

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return self.model.source

    @property
    def output(self) -> Output:
        """What the features look like."""
        architecture = self.model.architecture
        return speech_output(layer_range(self.layers, architecture.num_layers), architecture)

    @property
    def num_parameters(self) -> int:
        """Of the network."""
        return self.model.architecture.num_parameters

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Waveform]:
        """An encoder of sound; raises InputError without weights and for those of another network."""
        return build_speech(
            self.model.architecture,
            self.output.layers,
            normalise=self.normalise,
            precision=self.precision,
            device=device,
            weights=check_weights(self, weights),
        )
