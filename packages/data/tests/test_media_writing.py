"""Frames one after the other, and writing them with sound."""

from pathlib import Path

import numpy as np
import pytest

from blended.data.media import MediaError, probe, read_audio, read_frames
from blended.data.media.frames import stream_frames
from blended.data.media.writing import write_video
from toys.clips import seconds_at, write_clip


def test_every_frame_comes_with_its_time(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.3, 0.34]
    path = write_clip(tmp_path / "clip.mp4", frame_times=times)
    seen = [(seconds, frame) for seconds, frame in stream_frames(path, (32, 48))]
    assert [seconds for seconds, _ in seen] == pytest.approx(times, abs=0.002)
    assert all(frame.shape == (32, 48, 3) for _, frame in seen)
    assert [seconds_at(frame) for _, frame in seen] == pytest.approx(times, abs=0.03)


@pytest.mark.parametrize("degrees", [90, 270])
def test_frames_are_upright(tmp_path: Path, degrees: int) -> None:
    path = write_clip(tmp_path / "clip.mp4", size=(64, 96), rotation_degrees=degrees, with_audio=False)
    whole = read_frames(path).values[0]
    (_, first), *_ = stream_frames(path, (96, 64))
    assert whole.shape == first.shape
    assert np.abs(first.astype(int) - whole).mean() < 4


def test_sound_alone_has_no_frames(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="has no video track"):
        next(stream_frames(write_clip(tmp_path / "clip.wav"), (32, 32)))


def test_a_copy_keeps_times_and_sound(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=1.0, fps=10, audio_rate_hz=48000)
    out = tmp_path / "copy.mp4"
    write_video(out, stream_frames(path, (64, 64)), (64, 64), read_audio(path, 48000))
    info = probe(out)
    assert info.video is not None and info.audio is not None
    assert (info.video.width, info.video.fps) == (64, pytest.approx(10, rel=0.01))
    assert info.audio.duration_seconds == pytest.approx(1.0, abs=0.05)
    times = [(seconds, seconds_at(frame)) for seconds, frame in stream_frames(out, (64, 64))]
    assert len(times) == 10
    assert [shown for _, shown in times] == pytest.approx([seconds for seconds, _ in times], abs=0.03)


def test_another_name_than_mp4_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"got the name 'a.avi': call it a.mp4"):
        write_video(tmp_path / "a.avi", [], (64, 64))
    assert not [*tmp_path.iterdir()]
