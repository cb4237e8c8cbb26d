"""Toy clips and a toy corpus for tests: tiny media files whose contents tell the time.

The upper half of a frame at t seconds is a flat grey of `brightness_at(t)`, the lower half is a moving bar;
the sound is a tone from its first to its last sample.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from blended.data.labels import Mixture

DARKEST = 30
LEVELS_PER_SECOND = 100
LEVELS = 200

AUDIO_CODECS = {".wav": "pcm_s16le", ".flac": "flac", ".mp3": "mp3", ".webm": "libopus"}
"""By suffix; AAC elsewhere."""
VIDEO_OPTIONS = {
    "libx264": {"crf": "8", "preset": "ultrafast", "threads": "1"},
    "libvpx": {"crf": "4", "b": "8M", "deadline": "realtime", "threads": "1"},
}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
TICKS_PER_SECOND = 90000

Number = float | int
"""Beartype takes no int for a float, and a test may write either."""

TOY_EMOTIONS = ("ang", "disg", "fea", "hap", "sad", "neu")
TOY_LABELS = (
    *(Mixture.single(emotion) for emotion in TOY_EMOTIONS),
    Mixture({"ang": 70.0, "disg": 30.0}),
    Mixture({"ang": 30.0, "hap": 70.0}),
    Mixture({"fea": 50.0, "sad": 50.0}),
    Mixture({"hap": 30.0, "sad": 70.0}),
)
"""The labels that every actor of a toy corpus shows."""


def brightness_at(seconds: Number) -> int:
    """Grey of the upper half of a frame, 30 to 229; it climbs by 100 a second and starts anew after two."""
    return DARKEST + round(LEVELS_PER_SECOND * seconds) % LEVELS


def seconds_at(frame: NDArray[np.uint8]) -> float:
    """The time that a [height, width, 3] frame of a toy clip shows, modulo 2 seconds, to about 0.02."""
    return (float(frame[: len(frame) // 2].mean()) - DARKEST) / LEVELS_PER_SECOND


@dataclass(frozen=True, slots=True)
class _Sound:
    rate_hz: int
    tone_hz: Number
    amplitude: Number
    channels: int
    start_seconds: Number
    seconds: Number
    hole: tuple[Number, Number]


def write_clip(
    path: Path,
    *,
    seconds: Number = 1.0,
    fps: Number = 25.0,
    size: tuple[int, int] = (64, 64),
    frame_times: Sequence[Number] | None = None,
    rotation_degrees: int = 0,
    video_codec: str = "",
    with_video: bool = True,
    with_audio: bool = True,
    audio_rate_hz: int = 16000,
    tone_hz: Number = 440.0,
    amplitude: Number = 0.1,
    channels: int = 1,
    audio_start_seconds: Number = 0.0,
    audio_seconds: Number | None = None,
    audio_hole: tuple[Number, Number] = (0.0, 0.0),
    fast_start: bool = False,
) -> Path:
    """Writes a toy clip in the format of its suffix (.mp4, .mov, .mkv, .webm, .wav, .flac, .mp3).

    `size` is (height, width) before rotation. `frame_times` in seconds make the frame rate vary; the last
    frame lasts 1 / fps. `rotation_degrees` is the clockwise turn that a player is told to apply.
    `audio_seconds` is the length of the sound, by default that of the pictures; `audio_hole`
    is when a hole in its timestamps begins, and how long it lasts. `fast_start` puts the index
    of an .mp4 first, so that a cut file still opens. Returns `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with_video = with_video and path.suffix not in (".wav", ".flac", ".mp3")
    times = [k / fps for k in range(round(seconds * fps))] if frame_times is None else [*frame_times]
    length = seconds if frame_times is None else times[-1] + 1 / fps
    sound = _Sound(
        audio_rate_hz,
        tone_hz,
        amplitude,
        channels,
        audio_start_seconds,
        length if audio_seconds is None else audio_seconds,
        audio_hole,
    )
    options = {"movflags": "+faststart"} if fast_start else {}
    with av.open(str(path), "w", options=options) as container:
        # All tracks are declared before the first packet is written.
        video = (
            _video_stream(container, path, fps, size, video_codec, rotation_degrees) if with_video else None
        )
        audio = _audio_stream(container, path, sound) if with_audio else None
        if video is not None:
            _write_video(container, video, times, 1 / fps, size)
        if audio is not None:
            _write_audio(container, audio, sound)
    return path


def _video_stream(
    container: OutputContainer, path: Path, fps: Number, size: tuple[int, int], codec: str, rotation: int
) -> VideoStream:
    name = codec or ("libvpx" if path.suffix == ".webm" else "libx264")
    options = VIDEO_OPTIONS.get(name, {})
    stream = container.add_stream(name, rate=Fraction(fps).limit_denominator(1001), options=options)
    assert isinstance(stream, VideoStream)
    stream.height, stream.width = size
    # H.264 has no odd sizes with halved chroma.
    stream.pix_fmt = "yuv444p" if name == "libx264" and (size[0] % 2 or size[1] % 2) else "yuv420p"
    stream.codec_context.time_base = Fraction(1, TICKS_PER_SECOND)
    if rotation:
        stream.set_display_rotation(-rotation)
    return stream


def _write_video(
    container: OutputContainer, stream: VideoStream, times: list[Number], last: Number, size: tuple[int, int]
) -> None:
    ends = [*times[1:], times[-1] + last]
    for seconds, end in zip(times, ends, strict=True):
        frame = av.VideoFrame.from_ndarray(picture(seconds, size), format="rgb24")
        frame.pts = round(seconds * TICKS_PER_SECOND)
        frame.duration = round((end - seconds) * TICKS_PER_SECOND)
        frame.time_base = Fraction(1, TICKS_PER_SECOND)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def picture(seconds: Number, size: tuple[int, int]) -> NDArray[np.uint8]:
    """[height, width, 3]: a flat grey that tells the time above a bar that crosses in two seconds."""
    height, width = size
    values = np.full((height, width, 3), brightness_at(seconds), np.uint8)
    values[height // 2 :] = 60
    left = round(seconds / 2 * width) % width
    values[height // 2 :, left : left + max(1, width // 8)] = (200, 120, 60)
    return values


def _audio_stream(container: OutputContainer, path: Path, sound: _Sound) -> AudioStream:
    stream = container.add_stream(AUDIO_CODECS.get(path.suffix, "aac"), rate=sound.rate_hz)
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = LAYOUTS[sound.channels]
    return stream


def _write_audio(container: OutputContainer, stream: AudioStream, sound: _Sound) -> None:
    for frame in _tone(sound):
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _tone(sound: _Sound) -> Iterator[av.AudioFrame]:
    seconds = np.arange(round(sound.seconds * sound.rate_hz)) / sound.rate_hz
    wave = sound.amplitude * np.sin(2 * np.pi * sound.tone_hz * seconds)
    values = np.tile(np.clip(wave, -1, 1).astype(np.float32), (sound.channels, 1))
    offset, hole = round(sound.start_seconds * sound.rate_hz), round(sound.hole[1] * sound.rate_hz)
    for start in range(0, values.shape[1], 1024):
        piece = np.ascontiguousarray(values[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=LAYOUTS[sound.channels])
        frame.sample_rate = sound.rate_hz
        late = hole if sound.hole[1] and start >= sound.hole[0] * sound.rate_hz else 0
        frame.pts = offset + start + late
        frame.time_base = Fraction(1, sound.rate_hz)
        yield frame


def toy_corpus(
    folder: Path, *, num_folds: int = 5, actors_per_fold: int = 1, test_actors: int = 1, seconds: Number = 0.4
) -> Path:
    """Writes a small corpus in the layout of the demo corpus; returns its folder.

    Every actor has 10 clips: the six emotions alone, and four blends. The pitch of the tone tells the label,
    as the share-weighted place of its emotions, so that a model can learn it.
    """
    num_train = num_folds * actors_per_fold
    rows: list[dict[str, object]] = []
    for actor in range(num_train):
        for mixture in TOY_LABELS:
            stem = _stem(f"A{101 + actor}", mixture)
            _toy_clip(folder / "train" / f"{stem}.mp4", mixture, actor, seconds)
            rows.append(_row(stem, f"A{101 + actor}", mixture, str(actor % num_folds)))
    apart: list[dict[str, object]] = []
    for actor in range(num_train, num_train + test_actors):
        for mixture in TOY_LABELS:
            stem = f"test_{len(apart) + 1:04d}"
            _toy_clip(folder / "test" / f"{stem}.mp4", mixture, actor, seconds)
            apart.append(_row(stem, f"A{101 + actor}", mixture, ""))
    _write_table(folder / "train_metadata.csv", rows)
    _write_table(folder / "apart" / "test_metadata.csv", apart)
    return folder


def _stem(actor: str, mixture: Mixture) -> str:
    if mixture.is_blend:
        (first, p), (second, q) = mixture.shares
        return f"{actor}_mix_{first}_{second}_{p:g}_{q:g}_ver1"
    return f"{actor}_{mixture.name}_{'sit' if mixture.name == 'neu' else 'int'}1_ver1"


def _toy_clip(path: Path, mixture: Mixture, actor: int, seconds: Number) -> None:
    place = sum(share * TOY_EMOTIONS.index(emotion) for emotion, share in mixture.shares) / 100
    tone_hz = 300 + 100 * place + (25 if mixture.is_blend else 0)
    # The loudness differs by actor, so that no two clips are the same bytes.
    write_clip(path, seconds=seconds, size=(32, 32), tone_hz=tone_hz, amplitude=0.1 + 0.01 * actor)


def _row(stem: str, actor: str, mixture: Mixture, fold: str) -> dict[str, object]:
    shares = [*mixture.shares, ("", "")] if not mixture.is_blend else [*mixture.shares]
    (first, p), (second, q) = shares
    neutral = first == "neu"
    return {
        "filename": stem,
        "video_id": actor,
        "mix": int(mixture.is_blend),
        "emotion_1": first,
        "emotion_2": second,
        "emotion_1_salience": p if mixture.is_blend else "",
        "emotion_2_salience": q,
        "version": 1,
        "situation": 1 if neutral else "",
        "intensity_level": "" if neutral or mixture.is_blend else 1,
        "fold": fold,
    }


def _write_table(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]] if rows else [])
        writer.writeheader()
        writer.writerows(rows)
