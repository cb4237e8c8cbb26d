"""Windows of a file that slides by are those cut out of the file in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blended.data.media import MediaError
from blended.encoders.encoder import AudioStream, AudioVisual, AudioVisualStream, Modality, VideoStream
from blended.encoders.faces import FaceCrop, FaceStream
from blended.encoders.one_file import Wanted, choose, cut, decode
from blended.encoders.sliding import Span, slide
from toys.clips import write_clip

LENGTH, HOP = 1.0, 0.4


def spans(start: float, end: float) -> Sequence[Span]:
    """As `blended.studies.windows.spans`."""
    count = int((end - start - LENGTH + 1e-3) / HOP) + 1
    starts = [start + place * HOP for place in range(count)]
    if starts[-1] + LENGTH < end - 1e-3:
        starts.append(end - LENGTH)
    return [(at, at + LENGTH) for at in starts]


def wanted(**streams: Any) -> dict[str, Wanted]:
    """The first word of a name says what the stream reads."""
    modalities: dict[str, Modality] = {"sound": "audio", "picture": "video", "both": "audio-visual"}
    return {name: Wanted(modalities[name.split("_")[0]], stream) for name, stream in streams.items()}


STREAMS = wanted(
    sound=AudioStream(16000),
    sound_high=AudioStream(22050),
    picture=VideoStream(12.5, (24, 24)),
    picture_native=VideoStream(None, None, max_short_side=40),
    picture_face=FaceStream(6.0, (16, 16), FaceCrop()),
    both=AudioVisualStream(VideoStream(8.0, (8, 8)), AudioStream(8000)),
)


def same(one: Any, other: Any) -> None:
    if isinstance(one, AudioVisual):
        same(one.frames, other.frames)
        same(one.waveform, other.waveform)
        return
    np.testing.assert_array_equal(one.values, other.values)
    assert one.values.dtype == other.values.dtype
    assert (one.rate_hz, one.start_seconds) == (other.rate_hz, other.start_seconds)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("even.mp4", {"seconds": 5.0, "audio_rate_hz": 44100}),
        ("odd.mkv", {"seconds": 4.73, "fps": 30000 / 1001}),
        ("late.mp4", {"seconds": 4.0, "audio_start_seconds": 0.3}),
        ("sound_ends.mp4", {"seconds": 5.0, "audio_seconds": 2.9}),
        ("picture_ends.mkv", {"seconds": 2.6, "audio_seconds": 5.0}),
        ("uneven.mp4", {"frame_times": [0.0, 0.1, 1.7, 1.75, 2.6, 3.9, 4.0], "audio_seconds": 4.2}),
        ("mute.mp4", {"seconds": 3.0, "with_audio": False}),
        ("hole.mkv", {"with_video": False, "audio_seconds": 4.0, "audio_hole": (1.3, 0.6)}),
        ("sound.mp3", {"seconds": 3.0}),
    ],
)
def test_every_window(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = write_clip(tmp_path / name, **options)
    whole = decode(path, STREAMS)
    sliding = slide(choose(path, STREAMS))
    assert sliding is not None
    windows = sliding.windows(LENGTH, HOP, spans)
    count = 0
    for span in spans(whole.start_seconds, whole.end_seconds):
        count += 1
        window, expected = next(windows), cut(whole, *span)
        assert (window.start_seconds, window.end_seconds) == span
        assert {*window.inputs} == {*expected.inputs}
        assert (window.missing, window.notes) == (expected.missing, expected.notes)
        for encoder in expected.inputs:
            same(window.inputs[encoder], expected.inputs[encoder])
    assert count > 2
    with pytest.raises(StopIteration) as ended:
        next(windows)
    for field in ("missing", "start_seconds", "end_seconds", "has_video", "notes"):
        assert getattr(ended.value.value, field) == getattr(whole, field)


def test_no_more_than_a_window_is_kept(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", seconds=12.0)
    sliding = slide(choose(path, STREAMS))
    assert sliding is not None
    for _ in sliding.windows(LENGTH, HOP, spans):
        for tracks in sliding.buffers.values():
            for track in tracks:
                kept = sum(map(len, track.parts)) / track.reading.rate_hz
                assert kept <= LENGTH + HOP + 0.5


def test_expected_length_is_known_before_decoding(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", seconds=3.0, audio_seconds=2.0)
    assert choose(path, STREAMS).seconds == pytest.approx(decode(path, STREAMS).duration_seconds, abs=0.01)
    pictures = {"picture": STREAMS["picture"]}
    assert choose(path, pictures).seconds == pytest.approx(3.0, abs=0.01)


def test_damage_is_met(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", seconds=6.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    sound = {"sound": STREAMS["sound"]}
    sliding = slide(choose(path, sound))
    assert sliding is not None
    with pytest.raises(MediaError, match="cut off"):
        list(sliding.windows(LENGTH, HOP, spans))


def test_a_stream_of_somebody_else_is_read_at_once(tmp_path: Path) -> None:
    class Own:
        def read(self, path: Path) -> Any:
            raise AssertionError

    assert slide(choose(write_clip(tmp_path / "a.mp4"), wanted(picture=Own()))) is None
