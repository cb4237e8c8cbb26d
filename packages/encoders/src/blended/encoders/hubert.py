"""HuBERT large: speech learned by masked prediction of clusters, from Libri-Light (ll60k).

Hsu et al. (2021), "HuBERT: self-supervised speech representation learning by masked prediction of hidden
units", arXiv 2106.07447.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from blended.data.media import Waveform
from blended.encoders.encoder import Modality, NetworkEncoder, Output
from blended.encoders.layers import layer_range
from blended.encoders.running import Precision
from blended.encoders.speech import (
    LARGE,
    Architecture,
    Normalise,
    build_speech,
    speech_output,
    with_canonical_layers,
)
from blended.encoders.weights import Source, check_weights, hub_file

ARCHITECTURES = {"hubert-large": Architecture("Hubert", 24, 1024, True, 315_434_112, LARGE)}

SOURCES = {"hubert-large": hub_file("facebook/hubert-large-ll60k", "pytorch_model.bin")}


class HubertConfig(BaseModel):
    """Layers of 50 steps per second from sound at 16 kHz."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"

    name: Literal["hubert-large"] = "hubert-large"
    layers: str = "last"
    """Which layers are stored: one (9), a range (6-12), last or all; 0 is the input of the first block."""
    normalise: Normalise = "as-trained"
    """`always` scales every clip to unit variance, for recordings that are very quiet."""
    precision: Precision = "as-device"
    """Of the matrix products."""

    @model_validator(mode="before")
    @classmethod
    def _canonical(cls, given: Any) -> Any:
        return with_canonical_layers(given, ARCHITECTURES)

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return SOURCES[self.name]

    @property
    def output(self) -> Output:
        """What the features look like."""
        architecture = ARCHITECTURES[self.name]
        return speech_output(layer_range(self.layers, architecture.num_layers), architecture)

    @property
    def num_parameters(self) -> int:
        """Of the network."""
        return ARCHITECTURES[self.name].num_parameters

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Waveform]:
        """An encoder of sound; raises InputError without weights and for those of another network."""
        return build_speech(
            ARCHITECTURES[self.name],
            self.output.layers,
            normalise=self.normalise,
            precision=self.precision,
            device=device,
            weights=check_weights(self, weights),
        )
