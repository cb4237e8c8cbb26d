"""ImageBind huge: an embedding that pictures share with sounds.

Girdhar et al. (2023), "ImageBind: one embedding space to bind them all", arXiv 2305.05665. The BLEMORE
baseline encodes frame by frame.
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
from blended.encoders.device import Precision, encode_rows, ready, seeded
from blended.encoders.encoder import ONLY_LAYER, RANDOM, AudioStream, Modality, NetworkEncoder, Output
from blended.encoders.networks.config import ImageBindConfig
from blended.encoders.pictures import (
    CLIP_MEAN,
    CLIP_STD,
    FramesConfig,
    PictureNetwork,
    Preparation,
    window_starts,
)
from blended.encoders.sound import RATE_HZ, pieces, spectrogram
from blended.encoders.weights import Source, check_weights

if TYPE_CHECKING:
    from torch import Tensor

    from blended.encoders.networks.imagebind import ImageBind


LICENCE = "CC-BY-NC-SA-4.0: no commercial use, share alike"
SOURCE = Source(
    page="https://github.com/facebookresearch/ImageBind",
    folder="imagebind",
    url="https://dl.fbaipublicfiles.com/imagebind/imagebind_huge.pth",
)
DIM = 1024
PREPARATION = Preparation(224, 224, CLIP_MEAN, CLIP_STD)


class ImageBindVisionConfig(FramesConfig, frozen=True):
    """The embedding of every picture, of length 1."""

    licence: ClassVar[str] = LICENCE

    name: Literal["imagebind-vision"] = "imagebind-vision"

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return SOURCE

    @property
    def output(self) -> Output:
        """What the features look like."""
        return Output(DIM, self.rate_hz)

    @property
    def num_parameters(self) -> int:
        """Of the vision trunk, its tokens and its head."""
        return 632_829_440

    def load(self, weights: Path) -> PictureNetwork:
        """The vision trunk; raises InputError for weights of another network."""
        network: Any = one_sense("vision", weights)
        return PictureNetwork(network, network.vision, PREPARATION, DIM)


def one_sense(kept: Literal["vision", "audio"], weights: Path) -> "ImageBind":
    """ImageBind huge with one of its two trunks, which halves what is loaded; raises InputError."""
    from blended.encoders.networks.checkpoint import load_state, read_state
    from blended.encoders.networks.imagebind import NOT_BUILT, ImageBind

    dropped = "audio" if kept == "vision" else "vision"
    with seeded():
        network = ImageBind(ImageBindConfig.model_validate({f"{dropped}_num_blocks": 0}))
    parts = ("preprocessors", "trunks", "heads", "postprocessors")
    for part in parts:
        del getattr(network, f"modality_{part}")[dropped]
    if weights != RANDOM:
        absent = tuple(f"modality_{part}.{dropped}." for part in parts)
        load_state(network, read_state(weights), str(weights), ignored=(*NOT_BUILT, *absent))
    return network


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
