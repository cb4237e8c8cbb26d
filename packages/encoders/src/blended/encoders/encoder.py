"""What an encoder is: a config that builds it, the stream it wants, and what it makes of a clip."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from blended.data.features import Features
from blended.data.media import Frames, Waveform, read_audio, read_frames
from blended.data.media.audio import stream_audio
from blended.data.media.frames import first_picture, stream_pictures
from blended.data.media.records import Reading

Modality = Literal["audio", "video", "audio-visual"]
DType = Literal["float16", "float32"]
Encoded = Mapping[str, Features]
"""Layer name to features, from the lowest layer to the last."""

ONLY_LAYER = "output"
"""The layer of an encoder that has one."""

RANDOM = Path("random")
"""In place of a weights file: an untrained network, always the same, for tests and benchmarks."""

Input = TypeVar("Input")
Input_co = TypeVar("Input_co", covariant=True)


@runtime_checkable
class Stream(Protocol[Input_co]):
    """One way to decode a media file. Equal streams are decoded once for all encoders; so it is hashable."""

    def read(self, path: Path) -> Input_co:
        """The decoded file; raises MediaError if it cannot be read so."""
        ...


@dataclass(frozen=True, slots=True)
class AudioStream:
    """Sound, mixed to mono."""

    rate_hz: int = 16000

    def read(self, path: Path) -> Waveform:
        """The file's sound at `rate_hz`."""
        return read_audio(path, self.rate_hz)

    def pieces(self, path: Path) -> Reading:
        """The same piece by piece."""
        return stream_audio(path, self.rate_hz)


@dataclass(frozen=True, slots=True)
class VideoStream:
    """Pictures at even steps of time."""

    rate_hz: float | None
    """None for the file's own rate."""
    size: tuple[int, int] | None
    """(height, width) in pixels; None for the file's own size."""
    max_short_side: int | None = None
    """Where `size` is None: larger pictures are scaled down to this shorter side, their shape kept."""

    def read(self, path: Path) -> Frames:
        """The file's pictures at `rate_hz` and `size`."""
        return read_frames(path, self.rate_hz, size=self.size or self._fitted(path))

    def pieces(self, path: Path) -> Reading:
        """The same picture by picture."""
        return stream_pictures(path, self.rate_hz, size=self.size or self._fitted(path))

    def _fitted(self, path: Path) -> tuple[int, int] | None:
        if self.max_short_side is None:
            return None
        shown = first_picture(path)
        factor = self.max_short_side / min(shown.height, shown.width)
        return None if factor >= 1 else (round(shown.height * factor), round(shown.width * factor))


@dataclass(frozen=True, slots=True, eq=False)
class AudioVisual:
    """Pictures and sound of one file, on its clock."""

    frames: Frames
    waveform: Waveform

    @property
    def start_seconds(self) -> float:
        """From when on both are there."""
        return max(self.frames.start_seconds, self.waveform.start_seconds)

    @property
    def duration_seconds(self) -> float:
        """For how long both are there; 0 if they never are at the same time."""
        ends = (item.start_seconds + item.duration_seconds for item in (self.frames, self.waveform))
        return max(0.0, min(ends) - self.start_seconds)


@dataclass(frozen=True, slots=True)
class AudioVisualStream:
    """Pictures and sound of a file that has both."""

    video: Stream[Frames]
    audio: AudioStream

    def read(self, path: Path) -> AudioVisual:
        """Both tracks."""
        return AudioVisual(self.video.read(path), self.audio.read(path))


@runtime_checkable
class Encoder(Protocol[Input]):
    """Turns decoded clips into features. The same input gives the same bytes, whatever came before it."""

    @property
    def stream(self) -> Stream[Input]:
        """What to decode."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, from the lowest to the last."""
        ...

    @property
    def dim(self) -> int:
        """Columns of the features of every layer."""
        ...

    @property
    def rate_hz(self) -> float:
        """Time steps per second; 0 for one vector per clip."""
        ...

    @property
    def dtype(self) -> DType:
        """The type of the values on disk."""
        ...

    @property
    def batch_size(self) -> int:
        """Clips to hand over at once; part of the identity where it changes a result."""
        ...

    def encode(self, inputs: Sequence[Input]) -> list[Encoded]:
        """One entry per input, in order. Raises InputError for an input that it cannot encode."""
        ...


@runtime_checkable
class EncoderConfig(Protocol):
    """A frozen pydantic model that names an encoder and holds what changes its results."""

    modality: ClassVar[Modality]
    weighted: ClassVar[bool]
    """Whether it has trained weights; `weights.py` says where they are."""
    licence: ClassVar[str]
    """SPDX identifier, or the restriction in words, of the code and weights that it runs."""

    @property
    def name(self) -> str:
        """Key of the table and name of the store's folder."""
        ...

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> Encoder[Any]:
        """The encoder; heavy libraries are imported here and not before.

        Raises InputError for a weighted encoder without `weights` (a file, or `RANDOM`), and for a file that
        is not the whole network.
        """
        ...

    def model_dump_json(self) -> str:
        """The config as JSON, its name included."""
        ...

    @classmethod
    def model_validate(cls, obj: Any) -> "EncoderConfig":
        """The config from a mapping of its fields."""
        ...


@dataclass(frozen=True, slots=True)
class Output:
    """What the features of an encoder look like."""

    dim: int
    """Columns of every layer."""
    rate_hz: float
    """Time steps per second; 0 for one vector per clip."""
    layers: tuple[str, ...] = (ONLY_LAYER,)
    """From the lowest to the last."""
    dtype: DType = "float16"


@dataclass(frozen=True, slots=True)
class NetworkEncoder(Generic[Input]):
    """An encoder with a network."""

    stream: Stream[Input]
    output: Output
    batch_size: int
    function: Callable[[Sequence[Input]], list[Mapping[str, NDArray[np.floating]]]]
    """From decoded clips to layer name -> [time, dim], one mapping per clip."""
    network: Any = None
    """The torch module that `function` calls, for the loop to compile."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, from the lowest to the last."""
        return self.output.layers

    @property
    def dim(self) -> int:
        """Columns of every layer."""
        return self.output.dim

    @property
    def rate_hz(self) -> float:
        """Time steps per second; 0 for one vector per clip."""
        return self.output.rate_hz

    @property
    def dtype(self) -> DType:
        """The type of the values on disk."""
        return self.output.dtype

    def encode(self, inputs: Sequence[Input]) -> list[Encoded]:
        """All inputs together; raises InputError where the network gives NaN or infinite values."""
        return [
            {layer: Features(encoded[layer], self.rate_hz) for layer in self.layers}
            for encoded in self.function(inputs)
        ]


@dataclass(frozen=True, slots=True)
class ClipEncoder(Generic[Input]):
    """An encoder without a network: a pure function of one clip, with a name for every column."""

    stream: Stream[Input]
    columns: tuple[str, ...]
    """One name per column of the values."""
    rate_hz: float
    function: Callable[[Input], NDArray[np.floating]]
    """From one decoded clip to [time, dim]."""
    dtype: DType = "float16"
    layers: tuple[str, ...] = (ONLY_LAYER,)
    batch_size: int = 1

    @property
    def dim(self) -> int:
        """The number of columns."""
        return len(self.columns)

    def encode(self, inputs: Sequence[Input]) -> list[Encoded]:
        """Each input by itself; raises InputError where the function gives NaN or infinite values."""
        return [{ONLY_LAYER: Features(self.function(item), self.rate_hz)} for item in inputs]
