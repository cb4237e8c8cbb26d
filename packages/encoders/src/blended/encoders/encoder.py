"""What an encoder is: a config that builds it, the stream it wants, and what it makes of a clip."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from blended.data.features import Features
from blended.data.media import Frames, Waveform, read_audio, read_frames

Modality = Literal["audio", "video"]
DType = Literal["float16", "float32"]
Encoded = Mapping[str, Features]
"""Layer name to features, from the lowest layer to the last."""

ONLY_LAYER = "output"
"""The layer of an encoder that has one."""

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


@dataclass(frozen=True, slots=True)
class VideoStream:
    """Pictures at even steps of time."""

    rate_hz: float | None
    """None for the file's own rate."""
    size: tuple[int, int] | None
    """(height, width) in pixels; None for the file's own size."""

    def read(self, path: Path) -> Frames:
        """The file's pictures at `rate_hz` and `size`."""
        return read_frames(path, self.rate_hz, size=self.size)


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
    """Whether it has trained weights. Without a file these are random, from a seed in the config."""
    licence: ClassVar[str]
    """SPDX identifier, or the restriction in words, of the code and weights that it runs."""

    @property
    def name(self) -> str:
        """Key of the table and name of the store's folder."""
        ...

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> Encoder[Any]:
        """The encoder; heavy libraries are imported here and not before."""
        ...

    def model_dump_json(self) -> str:
        """The config as JSON, its name included."""
        ...

    @classmethod
    def model_validate(cls, obj: Any) -> "EncoderConfig":
        """The config from a mapping of its fields."""
        ...


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
