"""One file through several encoders: what of it is decoded, and the numbers that a store would hold."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32

from blended.data.errors import InputError
from blended.data.features import Features
from blended.data.media import Frames, MediaInfo, Waveform, probe
from blended.data.store.shard import as_stored
from blended.encoders.device import encoding_on
from blended.encoders.encoder import (
    AudioStream,
    AudioVisual,
    AudioVisualStream,
    Encoded,
    Encoder,
    EncoderConfig,
    Modality,
    Stream,
    VideoStream,
)
from blended.encoders.faces import FaceStream
from blended.encoders.pooling import pool

T = TypeVar("T", Waveform, Frames)

MAX_DECODED_BYTES = 3 * 1024**3
"""What one file may fill of the memory; half an hour for the encoders without a network takes 0.6 GiB."""

Built = Mapping[str, tuple[EncoderConfig, Encoder[Any]]]
"""Encoder name -> its config and what it built."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something that is decoded of a file."""

    modality: Modality
    """The tracks that it needs."""
    stream: Stream[Any]


def wanted_by(encoders: Built) -> dict[str, Wanted]:
    """What every encoder reads, by its name."""
    return {name: Wanted(config.modality, encoder.stream) for name, (config, encoder) in encoders.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What of a file is decoded, and for whom."""

    path: Path
    info: MediaInfo
    stream_of: Mapping[str, Any]
    """Name -> the stream that is read, where the file has its tracks; at least one."""
    missing: Mapping[str, str]
    """Name -> what the file lacks, for the others: `sound`, `picture`."""

    @property
    def streams(self) -> dict[Hashable, Any]:
        """Every stream once."""
        return {stream: stream for stream in self.stream_of.values()}

    @property
    def seconds(self) -> float:
        """How long all tracks are there by their packets; what is decoded may be a few samples shorter."""
        used = {type(stream) for stream in self.stream_of.values()}
        sound = self.info.audio if used & {AudioStream, AudioVisualStream} else None
        picture = self.info.video if used - {AudioStream} else None
        tracks = [track for track in (sound, picture) if track is not None]
        end = min((track.start_seconds + track.duration_seconds for track in tracks), default=0.0)
        return end - max((track.start_seconds for track in tracks), default=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A file as those who can use it want it, such as encoders by their names."""

    inputs: Mapping[str, Any]
    """Name -> what was decoded; equal streams share the object."""
    missing: Mapping[str, str]
    """Name -> what the file lacks, for the others: `sound`, `picture`."""
    start_seconds: float
    """From when on every input is there, on the file's clock."""
    end_seconds: float
    """Until when."""
    has_video: bool
    notes: Mapping[str, Mapping[str, int]]
    """Encoder name -> what was counted while decoding, such as `pictures_without_face`; often empty."""

    @property
    def duration_seconds(self) -> float:
        """For how long there is an input of every encoder."""
        return self.end_seconds - self.start_seconds


def choose(path: Path, wanted: Mapping[str, Wanted]) -> Chosen:
    """Looks at a file without decoding it.

    Raises InputError for one that is no media or has nothing of what is wanted.
    """
    info = probe(path)
    lacks = {name: lack for name, one in wanted.items() if (lack := _lacks(one.modality, info))}
    stream_of = {name: one.stream for name, one in wanted.items() if name not in lacks}
    if not stream_of:
        names = ", ".join(wanted)
        raise InputError(
            f"{path} has no {next(iter(lacks.values()))}, and nothing else is read by {names}: give another "
            f"file or use a run with other encoders"
        )
    return Chosen(path, info, stream_of, lacks)


def decode(path: Path, wanted: Mapping[str, Wanted]) -> Decoded:
    """Reads a file once per stream.

    A track that the file does not have is reported in `missing`. Raises InputError for a file that is
    damaged, has nothing of what is wanted, or is too long to be decoded at once.
    """
    return decode_chosen(choose(path, wanted))


def decode_chosen(chosen: Chosen) -> Decoded:
    """The same for a file that was looked at."""
    for stream in chosen.streams.values():
        _check_size(chosen.path, chosen.info, stream)
    read = {key: stream.read(chosen.path) for key, stream in chosen.streams.items()}
    inputs = {name: read[stream] for name, stream in chosen.stream_of.items()}
    return Decoded(
        inputs=inputs,
        missing=chosen.missing,
        start_seconds=max(item.start_seconds for item in read.values()),
        end_seconds=min(item.start_seconds + item.duration_seconds for item in read.values()),
        has_video=chosen.info.video is not None,
        notes={name: notes for name, item in inputs.items() if (notes := notes_of(item))},
    )


def _lacks(modality: Modality, info: MediaInfo) -> str:
    """The track that a modality needs and the file does not have; empty if it has it."""
    if info.audio is None and modality != "video":
        return "sound"
    return "picture" if info.video is None and modality != "audio" else ""


def _check_size(path: Path, info: MediaInfo, stream: object) -> None:
    if isinstance(stream, AudioVisualStream):
        stream = stream.video
    if not isinstance(stream, VideoStream | FaceStream) or info.video is None:
        return
    height, width = stream.size or (info.video.height, info.video.width)
    size = info.video.duration_seconds * (stream.rate_hz or info.video.fps) * height * width * 3
    if size > MAX_DECODED_BYTES:
        raise InputError(
            f"{path} lasts {info.video.duration_seconds / 60:.0f} minutes, which decode to "
            f"{size / 1024**3:.1f} GiB, expected at most {MAX_DECODED_BYTES / 1024**3:.0f}: cut it into "
            f"shorter files"
        )


def cut(decoded: Decoded, start_seconds: float, end_seconds: float) -> Decoded:
    """A piece of every input, by the file's clock; at least one sample or picture of each."""
    pieces = {id(item): _cut(item, start_seconds, end_seconds) for item in decoded.inputs.values()}
    inputs = {name: pieces[id(item)] for name, item in decoded.inputs.items()}
    return replace(decoded, inputs=inputs, start_seconds=start_seconds, end_seconds=end_seconds)


def _cut(item: Any, start_seconds: float, end_seconds: float) -> Any:
    if not isinstance(item, AudioVisual):
        return _cut_track(item, start_seconds, end_seconds)
    frames = _cut_track(item.frames, start_seconds, end_seconds)
    return AudioVisual(frames, _cut_track(item.waveform, start_seconds, end_seconds))


def _cut_track(item: T, start_seconds: float, end_seconds: float) -> T:
    first, last = cut_places(item.start_seconds, item.rate_hz, len(item.values), start_seconds, end_seconds)
    return replace(
        item, values=item.values[first:last], start_seconds=item.start_seconds + first / item.rate_hz
    )


def cut_places(
    item_seconds: float, rate_hz: float | int, length: int, start_seconds: float, end_seconds: float
) -> tuple[int, int]:
    """The first value of a piece and the one behind its last, in a track that starts at `item_seconds`."""
    first = min(max(0, round((start_seconds - item_seconds) * rate_hz)), length - 1)
    return first, max(first + 1, round((end_seconds - item_seconds) * rate_hz))


def encode(
    pieces: Sequence[Decoded], encoders: Built, device: str = "cpu"
) -> dict[str, Float32[np.ndarray, "piece pooled"]]:
    """Pooled features of every piece by every encoder that has an input; `device` is the encoders'.

    Values take the type they have on disk first, and the last layer is pooled, as for a corpus. Results do
    not depend on the number of cores if called within `blended.encoders.device.one_thread`.
    """
    steps = encode_steps(pieces, encoders, device)
    return {
        name: np.stack([one.values[0] if one.rate_hz == 0 else pool(one.values) for one in given])
        for name, given in steps.items()
    }


def encode_steps(
    pieces: Sequence[Decoded], encoders: Built, device: str = "cpu"
) -> dict[str, list[Features]]:
    """The same before pooling: features over time of every piece, with the values that a store would hold."""
    steps: dict[str, list[Features]] = {}
    for name in pieces[0].inputs:
        encoder = encoders[name][1]
        encoded = encode_batches(encoder, [piece.inputs[name] for piece in pieces], device)
        kept = [one[encoder.layers[-1]] for one in encoded]
        stored = [as_stored(one, encoder.dtype, name).astype(np.float32) for one in kept]
        steps[name] = [replace(one, values=values) for one, values in zip(kept, stored, strict=True)]
    return steps


def encode_batches(encoder: Encoder[Any], inputs: Sequence[Any], device: str) -> list[Encoded]:
    """Every layer of every input, in order, `batch_size` of them at once: for a shard as for a file.

    Raises InputError for an input that cannot be encoded, DeviceMemoryError for batches that do not fit.
    """
    encoded: list[Encoded] = []
    for at in range(0, len(inputs), encoder.batch_size):
        with encoding_on(device):
            encoded += encoder.encode(inputs[at : at + encoder.batch_size])
    return encoded


def notes_of(item: Any) -> Mapping[str, int]:
    """What an input says about how it was decoded, such as pictures without a face; mostly nothing."""
    return getattr(getattr(item, "frames", item), "notes", {})
