"""HiCMAE: pictures and sound together, learned by masked reconstruction and contrast.

Sun et al. (2024), "HiCMAE: hierarchical contrastive masked autoencoder for self-supervised audio-visual
emotion recognition", arXiv 2401.05698.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from blended.encoders.device import Precision, ready, running, seeded, to_device
from blended.encoders.encoder import (
    ONLY_LAYER,
    RANDOM,
    AudioStream,
    AudioVisual,
    AudioVisualStream,
    Modality,
    NetworkEncoder,
    Output,
)
from blended.encoders.faces import Faces
from blended.encoders.networks.hicmae.config import FinetuneConfig, backbone_of_size
from blended.encoders.pictures import Preparation, Windows, cut_windows, picture_stream, window_starts
from blended.encoders.sound import RATE_HZ, pieces, spectrogram
from blended.encoders.weights import Source, check_weights

if TYPE_CHECKING:
    from blended.encoders.networks.hicmae.network import HiCMAEClassifier

PREPARATION = Preparation(size=160, shorter_side=160, interpolation="bilinear")
AUDIO_MEAN, AUDIO_HALF_RANGE = -4.2677393, 2 * 4.5689974
BATCH_SIZE = 4
WINDOWS_AT_ONCE = 16
PAGE = "https://github.com/sunlicai/HiCMAE"


class HiCMAEConfig(BaseModel):
    """[video, audio, fused video, fused audio] of every window of 16 frames, before the classifier.

    A checkpoint of pre-training serves too: then all layers count the same, as at the start of fine-tuning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "audio-visual"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str] = "MIT"

    name: Literal["hicmae"] = "hicmae"
    size: Literal["base", "small"] = "base"
    """2048 or 1536 columns."""
    frame_rate_hz: float = Field(default=6.25, gt=0, le=60)
    """Frames per second that are looked at; it was trained on every fourth of 25."""
    stride_frames: int = Field(default=8, ge=1)
    """From the start of one window to that of the next."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face, which is what it was trained on; None for whole pictures."""
    precision: Precision = "as-device"
    """Of the matrix products."""

    @property
    def source(self) -> Source:
        """Where the weights come from: its authors' drive, by hand."""
        return Source(PAGE, "hicmae", file=f"hicmae_{self.size}.pth")

    @property
    def network(self) -> FinetuneConfig:
        """The published network, without a classifier."""
        return FinetuneConfig(backbone=backbone_of_size(self.size), num_classes=0)

    @property
    def windows(self) -> Windows:
        """How a clip is cut."""
        return Windows(self.frame_rate_hz, self.network.backbone.num_frames, self.stride_frames)

    @property
    def output(self) -> Output:
        """What the features look like."""
        return Output(4 * self.network.backbone.video.dim, self.windows.rate_hz)

    @property
    def num_parameters(self) -> int:
        """Of the network without its classifier."""
        return {"base": 80_780_308, "small": 45_643_028}[self.size]

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[AudioVisual]:
        """An encoder of pictures and sound; raises InputError without weights and for those of another
        network."""
        network: Any = _network(self.network, check_weights(self, weights))
        import_module("torchaudio.compliance.kaldi")  # Now, before the loop limits threads.
        network = ready(network, device)
        function = partial(
            _encode, embed=network, windows=self.windows, precision=self.precision, device=device
        )
        video = picture_stream(self.frame_rate_hz, PREPARATION.size, self.faces)
        stream = AudioVisualStream(video, AudioStream(RATE_HZ))
        return NetworkEncoder(stream, self.output, BATCH_SIZE, function, network)


def _network(config: FinetuneConfig, weights: Path) -> "HiCMAEClassifier":
    from blended.encoders.networks.checkpoint import load_state, read_state
    from blended.encoders.networks.hicmae.network import (
        CLASSIFIER_ONLY,
        HiCMAEClassifier,
        start_from_pretraining,
    )

    with seeded():
        network = HiCMAEClassifier(config)
    if weights == RANDOM:
        return network
    state = read_state(weights)
    if any(name.startswith(CLASSIFIER_ONLY) for name in state):
        load_state(network, state, str(weights), ignored=("head.",))
    else:
        start_from_pretraining(network, state, str(weights))
    return network


def _encode(
    inputs: Sequence[AudioVisual], *, embed: Any, windows: Windows, precision: Precision, device: str
) -> list[Mapping[str, NDArray[np.floating]]]:
    import torch

    video = [
        cut_windows(PREPARATION.pixels(item.frames.values), windows.num_frames, windows.stride_frames)
        for item in inputs
    ]
    audio = torch.cat([torch.from_numpy(spectrograms(item, windows)) for item in inputs])
    counts = [len(part) for part in video]
    encoded: list[torch.Tensor] = []
    with running(device, precision):
        parts = zip(torch.cat(video).split(WINDOWS_AT_ONCE), audio.split(WINDOWS_AT_ONCE), strict=True)
        for pixels, banks in parts:
            frames = PREPARATION.normalised(to_device(pixels, device))
            encoded.append(embed(frames.transpose(1, 2), to_device(banks, device)).float().cpu())
    values = torch.cat(encoded).numpy()
    return [{ONLY_LAYER: part.copy()} for part in np.split(values, np.cumsum(counts)[:-1])]


def spectrograms(item: AudioVisual, windows: Windows) -> NDArray[np.float32]:
    """[windows, 1, 256, 128]: the sound from the first to the last frame of every window, on one clock."""
    frames, sound = item.frames, item.waveform
    offset = frames.start_seconds - sound.start_seconds
    last = len(frames.values) - 1
    starts = window_starts(len(frames.values), windows.num_frames, windows.stride_frames)
    spans = [
        (offset + start / frames.rate_hz, offset + min(start + windows.num_frames - 1, last) / frames.rate_hz)
        for start in starts
    ]
    banks = [spectrogram(piece, 256) for piece in pieces(sound.values, spans)]
    return ((np.stack(banks) - AUDIO_MEAN) / AUDIO_HALF_RANGE).astype(np.float32)[:, None]
