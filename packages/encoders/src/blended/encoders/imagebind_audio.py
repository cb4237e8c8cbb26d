"""ImageBind huge, sounds: an embedding that sounds share with pictures.

Girdhar et al. (2023), "ImageBind: one embedding space to bind them all", arXiv 2305.05665.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from blended.data.media import Waveform
from blended.encoders.encoder import ONLY_LAYER, AudioStream, Modality, NetworkEncoder, Output
from blended.encoders.imagebind_vision import DIM, LICENCE, SOURCE, one_sense
from blended.encoders.preparing import window_starts
from blended.encoders.running import Precision, encode_rows, ready
from blended.encoders.spectrogram import RATE_HZ, pieces, spectrogram
from blended.encoders.weights import Source, check_weights

if TYPE_CHECKING:
    from torch import Tensor

WINDOW_SECONDS = 2.0
NUM_FRAMES = 204
MEAN, STD = -4.268, 9.138
BATCH_SIZE = 8
WINDOWS_AT_ONCE = 16


class ImageBindAudioConfig(BaseModel):
    """The embedding of every window of 2 seconds, of length 20."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str] = LICENCE

    name: Literal["imagebind-audio"] = "imagebind-audio"
    stride_seconds: float = Field(default=1.0, gt=0, le=10)
    """From the start of one window to that of the next."""
    precision: Precision = "as-device"
    """Of the matrix products."""

    @property
    def source(self) -> Source:
        """Where the weights come from: the file of `imagebind-vision`."""
        return SOURCE

    @property
    def output(self) -> Output:
        """What the features look like."""
        return Output(DIM, 1 / self.stride_seconds)

    @property
    def num_parameters(self) -> int:
        """Of the audio trunk, its tokens and its head."""
        return 86_235_648

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Waveform]:
        """An encoder of sound; raises InputError without weights and for those of another network."""
        network: Any = one_sense("audio", check_weights(self, weights))
        import_module("torchaudio.compliance.kaldi")  # Now, before the loop limits threads.
        network = ready(network, device)
        function = partial(
            _encode,
            embed=network.audio,
            stride_seconds=self.stride_seconds,
            precision=self.precision,
            device=device,
        )
        return NetworkEncoder(AudioStream(RATE_HZ), self.output, BATCH_SIZE, function, network)


def _encode(
    inputs: Sequence[Waveform], *, embed: Any, stride_seconds: float, precision: Precision, device: str
) -> list[Mapping[str, NDArray[np.floating]]]:
    encoded = encode_rows(
        [spectrograms(item, stride_seconds) for item in inputs],
        embed,
        size=WINDOWS_AT_ONCE,
        device=device,
        precision=precision,
    )
    return [{ONLY_LAYER: values} for values in encoded]


def spectrograms(waveform: Waveform, stride_seconds: float) -> "Tensor":
    """[windows, 1, 128, 204]; the last window is shorter where the clip ends."""
    import torch

    window, stride = round(WINDOW_SECONDS * RATE_HZ), max(1, round(stride_seconds * RATE_HZ))
    starts = window_starts(len(waveform.values), window, stride)
    cut = pieces(waveform.values, [(start / RATE_HZ, (start + window) / RATE_HZ) for start in starts])
    banks = np.stack([(spectrogram(piece, NUM_FRAMES).T - MEAN) / STD for piece in cut])
    return torch.from_numpy(banks.astype(np.float32))[:, None]
