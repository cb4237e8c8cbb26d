"""torchcodec and PyAV choose the same frames; skipped, saying why, where torchcodec cannot be loaded."""

from pathlib import Path

import numpy as np
import pytest

from blended.data.media import MediaError, read_frames
from blended.data.media.torchcodec_frames import read_frames_with_torchcodec, why_not
from toys.clips import write_clip

SAME_LEVELS = 4
"""Of 255: torchcodec converts colours with FFmpeg's faster, less exact settings."""


@pytest.fixture
def torchcodec() -> None:
    if reason := why_not():
        pytest.skip(reason)


@pytest.mark.usefixtures("torchcodec")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("rate_hz", [None, 5.0, 12.5, 40.0])
def test_frame_by_frame(tmp_path: Path, suffix: str, rate_hz: float | None) -> None:
    path = write_clip(tmp_path / f"a{suffix}", seconds=1.0)
    _assert_same(path, rate_hz)


@pytest.mark.usefixtures("torchcodec")
@pytest.mark.parametrize("rate_hz", [None, 10.0])
def test_a_varying_rate(tmp_path: Path, rate_hz: float | None) -> None:
    times = [0.4, 0.44, 0.48, 0.9, 0.94, 1.6]
    _assert_same(write_clip(tmp_path / "a.mp4", frame_times=times), rate_hz)


@pytest.mark.usefixtures("torchcodec")
def test_real_files(reference: Path) -> None:
    files = sorted((reference / "media").glob("*single_face*.mp4"))
    if not files:
        pytest.skip(f"no such file in {reference / 'media'}")
    for path in files:
        _assert_same(path, 7.5)


def _assert_same(path: Path, rate_hz: float | None) -> None:
    ours, theirs = read_frames(path, rate_hz), read_frames_with_torchcodec(path, rate_hz)
    assert theirs.values.shape == ours.values.shape
    assert (theirs.rate_hz, theirs.start_seconds) == (ours.rate_hz, ours.start_seconds)
    apart = np.abs(theirs.values.astype(int) - ours.values).mean(axis=(1, 2, 3))
    assert apart.max() <= SAME_LEVELS


def test_its_absence_is_said(tmp_path: Path) -> None:
    reason = why_not()
    if not reason:
        pytest.skip("torchcodec is here")
    with pytest.raises(MediaError, match=r"torchcodec cannot be loaded: .*: install it with an FFmpeg of"):
        read_frames_with_torchcodec(write_clip(tmp_path / "a.mp4"))


@pytest.fixture
def reference() -> Path:
    import os

    return Path(os.environ.get("BLENDED_REFERENCE", "../shared/reference"))
