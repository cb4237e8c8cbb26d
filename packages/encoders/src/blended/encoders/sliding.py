"""A long file as windows: decoded once and in order, with no more of it in memory than a window needs.

Seeking would give other samples, so nothing is decoded twice. A window holds, to the bit, what `one_file.cut`
takes out of the file decoded as a whole.
"""

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from blended.data.media import Frames, Waveform
from blended.data.media.records import Reading
from blended.encoders.encoder import AudioVisual, AudioVisualStream
from blended.encoders.one_file import Chosen, Decoded, cut_places

CERTAIN_SECONDS = 0.05
"""So much must be there behind a window before it is certain that the file does not end within."""

Span = tuple[float, float]
"""Start and end in seconds on the file's clock."""


@runtime_checkable
class Streamed(Protocol):
    """A stream that can be read piece by piece."""

    def pieces(self, path: Path) -> Reading:
        """What `read` gives, to the bit; raises as that, or in mid-track."""
        ...


@dataclass(slots=True, eq=False)
class _Buffer:
    """What is in memory of one track."""

    reading: Reading
    parts: list[np.ndarray] = field(default_factory=list[np.ndarray])
    first: int = 0
    """Place of what is in memory within the track."""
    end: int = 0
    """Values that were decoded so far."""
    has_ended: bool = False

    @property
    def end_seconds(self) -> float:
        """Up to when the track is decoded, on the file's clock."""
        return self.reading.start_seconds + self.end / self.reading.rate_hz

    def fill(self, until_seconds: float) -> None:
        """Decodes up to a time, or to the end of the track."""
        while not self.has_ended and self.end_seconds < until_seconds:
            piece = next(self.reading.pieces, None)
            if piece is None:
                self.has_ended = True
            else:
                self.parts.append(piece)
                self.end += len(piece)

    def drain(self) -> None:
        """Decodes the rest without keeping it: damage there counts as it does elsewhere."""
        for _ in self.reading.pieces:
            pass

    def forget(self, before_seconds: float) -> None:
        """Drops what lies before a time."""
        place = round((before_seconds - self.reading.start_seconds) * self.reading.rate_hz) - 1
        while len(self.parts) > 1 and self.first + len(self.parts[0]) <= place:
            self.first += len(self.parts.pop(0))

    def cut(self, span: Span) -> Waveform | Frames:
        """A window, which has to be in memory."""
        start, rate_hz = self.reading.start_seconds, self.reading.rate_hz
        first, last = cut_places(start, rate_hz, self.end, *span)
        values = np.concatenate(self.parts)[first - self.first : last - self.first]
        if values.ndim > 1:
            return Frames(values, rate_hz, start + first / rate_hz)
        return Waveform(values, cast(int, rate_hz), start + first / rate_hz)


@dataclass(frozen=True, slots=True, eq=False)
class Sliding:
    """A file that is being decoded."""

    chosen: Chosen
    buffers: Mapping[Hashable, tuple[_Buffer, ...]]
    """By stream: one track, or pictures and sound."""

    def windows(
        self, length: float, hop: float, spans: Callable[[float, float], Sequence[Span]]
    ) -> Generator[Decoded, None, Decoded]:
        """The windows that `spans` makes of the file's start and end; returns the file without its contents.

        All windows are of one length, in seconds, and begin a hop after each other, but for the last one,
        which ends with the file. Raises MediaError where the file is damaged, when that is met.
        """
        start = max(track.reading.start_seconds for track in self._tracks)
        done = 0
        while not self._ended(start + done * hop + length + CERTAIN_SECONDS):
            at = start + done * hop
            yield self._window((at, at + length))
            # Not what the last window may begin with, should the file end now.
            for track in self._tracks:
                track.forget(at)
            done += 1
        end = self._end()
        for span in spans(start, end)[done:]:
            yield self._window(span)
        for track in self._tracks:
            track.drain()
        return self._decoded({}, (start, end))

    @property
    def _tracks(self) -> list[_Buffer]:
        return [track for tracks in self.buffers.values() for track in tracks]

    def _ended(self, until_seconds: float) -> list[_Buffer]:
        """Decodes every track up to a time; those that end before."""
        for track in self._tracks:
            track.fill(until_seconds)
        return [track for track in self._tracks if track.has_ended]

    def _end(self) -> float:
        """When the first of the tracks ends, once one of them has."""
        first = min(track.end_seconds for track in self._tracks if track.has_ended)
        return min(track.end_seconds for track in self._ended(first + CERTAIN_SECONDS))

    def _window(self, span: Span) -> Decoded:
        cut: dict[Hashable, Any] = {}
        for stream, tracks in self.buffers.items():
            parts: list[Any] = [track.cut(span) for track in tracks]
            cut[stream] = AudioVisual(*parts) if len(parts) > 1 else parts[0]
        return self._decoded({name: cut[stream] for name, stream in self.chosen.stream_of.items()}, span)

    def _decoded(self, inputs: Mapping[str, Any], span: Span) -> Decoded:
        counted = {name: self.buffers[s][0].reading.notes for name, s in self.chosen.stream_of.items()}
        notes = {name: given for name, given in counted.items() if given}
        return Decoded(inputs, self.chosen.missing, *span, self.chosen.info.video is not None, notes)


def slide(chosen: Chosen) -> Sliding | None:
    """Begins to decode a file; None where one of its streams cannot be read piece by piece."""
    buffers: dict[Hashable, tuple[_Buffer, ...]] = {}
    for key, stream in chosen.streams.items():
        tracks = (stream.video, stream.audio) if isinstance(stream, AudioVisualStream) else (stream,)
        if not all(isinstance(track, Streamed) for track in tracks):
            return None
        buffers[key] = tuple(_Buffer(cast(Streamed, track).pieces(chosen.path)) for track in tracks)
    return Sliding(chosen, buffers)
