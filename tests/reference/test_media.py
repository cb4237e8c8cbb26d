"""Every real media file: opens, has sensible shapes, and lasts as long as its probe says.

Files are discovered in `media/` and in the audio folders of other corpora.
"""

from pathlib import Path

import numpy as np
import pytest

from blended.data.media import MediaError, probe, read_audio, read_frames


@pytest.fixture(scope="session")
def files(reference: Path) -> list[Path]:
    found = sorted(path for path in (reference / "media").glob("*") if path.is_file())
    if not found:
        pytest.skip(f"no files in {reference / 'media'}")
    return found


def test_probe(files: list[Path]) -> None:
    for path in files:
        info = probe(path)
        assert info.duration_seconds > 0, path
        assert info.video is not None or info.audio is not None, path
        for track in (info.video, info.audio):
            if track is not None:
                assert track.start_seconds >= 0, path
                assert track.start_seconds + track.duration_seconds <= info.duration_seconds + 0.2, path
        if info.video is not None and info.video.num_frames is not None:
            # A container may count frames that its edit list leaves out.
            assert info.video.duration_seconds * info.video.fps <= info.video.num_frames + 1, path


def test_sound(files: list[Path]) -> None:
    heard = 0
    for path in files:
        info = probe(path).audio
        if info is None:
            with pytest.raises(
                MediaError, match=r"has no audio track \(it has .*\): expected sound; give a file"
            ):
                read_audio(path, 16000)
            continue
        for track in range(info.num_tracks):
            sound = read_audio(path, 16000, track=track)
            assert np.isfinite(sound.values).all(), path
            assert 1e-5 < np.abs(sound.values).max() < 2, path
            if track == 0:
                # A packet of 1152 samples, the longest of MP3 and AAC.
                assert sound.duration_seconds == pytest.approx(info.duration_seconds, abs=1152 / info.rate_hz)
            heard += 1
    assert heard


def test_pictures(files: list[Path]) -> None:
    seen = 0
    for path in files:
        info = probe(path).video
        if info is None:
            with pytest.raises(
                MediaError, match=r"has no video track \(it has .*\): expected pictures; give a"
            ):
                read_frames(path)
            continue
        frames = read_frames(path)
        assert frames.values.shape[1:] == (info.height, info.width, 3), path
        assert frames.duration_seconds == pytest.approx(info.duration_seconds, abs=1.001 / info.fps), path
        assert frames.values[len(frames.values) // 2].std() > 5, path
        _sampled_frames_are_frames_of_the_file(path, frames.values, info.fps)
        seen += 1
    assert seen


def _sampled_frames_are_frames_of_the_file(path: Path, native: np.ndarray, fps: float) -> None:
    sampled = read_frames(path, fps / 5)
    np.testing.assert_array_equal(sampled.values, native[::5][: len(sampled.values)])
    small = read_frames(path, fps / 5, size=(48, 64))
    assert small.values.shape == (len(sampled.values), 48, 64, 3)
    # Scaling keeps the mean colour.
    np.testing.assert_allclose(small.values.mean((1, 2)), sampled.values.mean((1, 2)), atol=2)


def test_recordings_of_other_corpora(reference: Path) -> None:
    """A few of every folder of sounds: sixteen bits of FLAC at 48 kHz and whatever else is there."""
    folders = sorted({path.parent for path in reference.rglob("*.flac")})
    if not folders:
        pytest.skip(f"no .flac files in {reference}")
    for folder in folders:
        for path in sorted(folder.glob("*.flac"))[:2]:
            info = probe(path).audio
            assert info is not None
            sound = read_audio(path, 16000)
            assert sound.duration_seconds == pytest.approx(info.duration_seconds, abs=1 / 16000), path
