"""Pictures: every frame tells the time at which it was drawn, and is compared with the clock."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blended.data.media import Frames, MediaError, probe, read_frames
from toys.clips import brightness_at, picture, seconds_at, write_clip

UNEVEN = [0.0, 0.04, 0.08, 0.5, 0.54, 1.2, 1.24, 1.6]


def _shown_at(times: list[float], seconds: float) -> float:
    """The time of the frame on screen, by looking through all of them."""
    shown = times[0]
    for time in times:
        if time <= seconds + 0.004:
            shown = time
    return shown


def _assert_on_screen(frames: Frames, times: list[float]) -> None:
    for step, frame in enumerate(frames.values):
        seconds = frames.start_seconds + step / frames.rate_hz
        assert seconds_at(frame) == pytest.approx(_shown_at(times, seconds), abs=0.021), step


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("fps", [25.0, 30000 / 1001, 12.0])
def test_every_frame_at_the_native_rate(tmp_path: Path, suffix: str, fps: float) -> None:
    path = write_clip(tmp_path / f"a{suffix}", seconds=1.0, fps=fps, audio_rate_hz=48000)
    frames = read_frames(path)
    count = round(fps)
    assert frames.values.shape == (count, 64, 64, 3)
    assert frames.values.dtype == np.uint8
    assert frames.rate_hz == pytest.approx(fps, rel=1e-6)
    info = probe(path).video
    assert info is not None
    assert (info.constant_rate, info.rotation_degrees, info.num_tracks) == (True, 0, 1)
    assert frames.duration_seconds == pytest.approx(info.duration_seconds, abs=1.5 / fps)
    for k, frame in enumerate(frames.values):
        assert seconds_at(frame) == pytest.approx(k / fps, abs=0.015)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("rate_hz", [2.0, 10.0, 24.0, 60.0, None])
def test_uneven_frames_are_chosen_by_time(tmp_path: Path, suffix: str, rate_hz: float | None) -> None:
    path = write_clip(tmp_path / f"a{suffix}", frame_times=UNEVEN)
    info = probe(path).video
    assert info is not None
    assert info.constant_rate is False
    assert info.fps == pytest.approx((len(UNEVEN) - 1) / UNEVEN[-1], rel=1e-3)
    frames = read_frames(path, rate_hz)
    assert frames.duration_seconds == pytest.approx(1.64, abs=1 / frames.rate_hz)
    _assert_on_screen(frames, UNEVEN)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    gaps=st.lists(st.integers(10, 200), min_size=2, max_size=12),
    rate_hz=st.sampled_from([3.0, 8.0, 25.0, 100.0]),
)
def test_any_spacing_of_frames(tmp_path: Path, gaps: list[int], rate_hz: float) -> None:
    times = [float(t) for t in np.cumsum([0, *gaps]) / 1000 if t < 1900]
    path = write_clip(tmp_path / "a.mkv", frame_times=times, with_audio=False, size=(16, 16))
    _assert_on_screen(read_frames(path, rate_hz), times)


@pytest.mark.parametrize(("rate_hz", "count"), [(1.0, 2), (5.0, 10), (12.5, 25), (50.0, 100)])
def test_other_rates_of_an_even_clip(tmp_path: Path, rate_hz: float, count: int) -> None:
    path = write_clip(tmp_path / "a.mp4", seconds=2.0)
    frames = read_frames(path, rate_hz)
    assert len(frames.values) == count
    _assert_on_screen(frames, [k / 25 for k in range(50)])


def test_one_frame(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frame_times=[0.0], with_audio=False)
    info = probe(path).video
    assert info is not None
    assert info.constant_rate is None
    assert len(read_frames(path).values) == 1


def test_the_last_frame_may_last_long(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frame_times=[0.0, 0.04, 0.08], fps=0.5, with_audio=False)
    frames = read_frames(path, 10)
    assert frames.duration_seconds == pytest.approx(2.08, abs=0.1)
    assert seconds_at(frames.values[-1]) == pytest.approx(0.08, abs=0.015)


@pytest.mark.parametrize("size", [(63, 97), (48, 64), (1, 1), (17, 16)])
def test_sizes_odd_and_even(tmp_path: Path, size: tuple[int, int]) -> None:
    """Also with rows that are padded in memory."""
    path = write_clip(tmp_path / "a.mp4", seconds=0.2, size=size, with_audio=False)
    info = probe(path).video
    assert info is not None
    assert (info.height, info.width) == size
    values = read_frames(path).values
    assert values.shape[1:] == (*size, 3)
    for k, frame in enumerate(values):
        drawn = picture(k / 25, size).astype(int)
        assert abs(frame.astype(int) - drawn)[: max(0, size[0] // 2 - 2)].max(initial=0) <= 3


def test_scaling(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", seconds=0.4, size=(64, 96))
    values = read_frames(path, 10, size=(32, 24)).values
    assert values.shape == (4, 32, 24, 3)
    np.testing.assert_allclose(
        values[:, :14].mean(axis=(1, 2, 3)), [brightness_at(k / 10) for k in range(4)], atol=2
    )


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_rotation_is_applied(tmp_path: Path, turn: int, suffix: str) -> None:
    path = write_clip(tmp_path / f"a{suffix}", seconds=0.2, size=(32, 64), rotation_degrees=turn)
    info = probe(path).video
    assert info is not None
    assert info.rotation_degrees == turn
    values = read_frames(path).values
    upright = np.rot90(picture(0.0, (32, 64)), -turn // 90)
    assert values.shape[1:] == upright.shape == (info.height, info.width, 3)
    assert abs(values[0].astype(int) - upright).mean() < 6
    assert read_frames(path, size=(20, 30)).values.shape[1:] == (20, 30, 3)


def _write_grey(path: Path, codec: str, pix_fmt: str, luma: int, full_range: bool) -> None:
    """One flat grey, its samples written as they are."""
    deep = pix_fmt.endswith("10le")
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {"crf": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt = pix_fmt
        stream.codec_context.color_range = 2 if full_range else 1
        for k in range(3):
            frame = av.VideoFrame(64, 64, pix_fmt)
            frame.color_range = 2 if full_range else 1
            for plane, value in zip(
                frame.planes, (luma, 512 if deep else 128, 512 if deep else 128), strict=True
            ):
                sample = np.uint16 if deep else np.uint8
                plane.update(np.full(plane.buffer_size // np.dtype(sample).itemsize, value, sample).tobytes())
            frame.pts = k
            frame.time_base = Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "luma", "full_range", "grey"),
    [
        ("libx264", "yuv420p", 235, False, 255),
        ("libx264", "yuv420p", 16, False, 0),
        ("libx264", "yuv420p", 126, False, round((126 - 16) / 219 * 255)),
        ("libx264", "yuvj420p", 255, True, 255),
        ("libx264", "yuvj420p", 126, True, 126),
        ("libx265", "yuv420p10le", 940, False, 255),
        ("libx265", "yuv420p10le", 64, False, 0),
        ("libx265", "yuv420p10le", 502, False, round((502 - 64) / 876 * 255)),
    ],
)
def test_ranges_and_depths(
    tmp_path: Path, codec: str, pix_fmt: str, luma: int, full_range: bool, grey: int
) -> None:
    """By the definition of limited range: 16 to 235 of 8 bits, 64 to 940 of 10."""
    _write_grey(tmp_path / "a.mp4", codec, pix_fmt, luma, full_range)
    values = read_frames(tmp_path / "a.mp4").values
    assert abs(values.astype(int) - grey).max() <= 1


MATRICES = {
    # Name of the matrix: FFmpeg's number, share of red and of blue in luma (ITU-R BT.601, BT.709).
    "bt601": (6, 0.299, 0.114),
    "bt709": (1, 0.2126, 0.0722),
}


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("rgb", [(200, 40, 60), (30, 180, 70), (50, 60, 210), (190, 180, 40)])
def test_colours_by_their_matrix(tmp_path: Path, matrix: str, rgb: tuple[int, int, int]) -> None:
    """Written as luma and chroma by the definition, and read back as what they were."""
    number, red, blue = MATRICES[matrix]
    r, g, b = (value / 255 for value in rgb)
    luma = red * r + (1 - red - blue) * g + blue * b
    planes = (
        round(16 + 219 * luma),
        round(128 + 224 * (b - luma) / (2 * (1 - blue))),
        round(128 + 224 * (r - luma) / (2 * (1 - red))),
    )
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1"})
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = number
        frame = av.VideoFrame(64, 64, "yuv420p")
        frame.colorspace = number
        for plane, value in zip(frame.planes, planes, strict=True):
            plane.update(np.full(plane.buffer_size, value, np.uint8).tobytes())
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    # One level of luma or chroma is up to two of a colour.
    assert np.abs(read_frames(path).values[0].astype(int) - rgb).max() <= 2
    assert np.abs(read_frames(path, size=(20, 20)).values[0].astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("turn", [0, 90])
def test_what_is_kept_can_be_made_from_the_whole_picture(tmp_path: Path, turn: int) -> None:
    path = write_clip(tmp_path / "a.mp4", seconds=0.4, size=(32, 64), rotation_degrees=turn)
    asked: list[tuple[float, tuple[int, ...]]] = []

    def corner(seconds: float, whole: np.ndarray) -> np.ndarray:
        asked.append((seconds, whole.shape))
        return whole[:8, :10]

    kept = read_frames(path, 5, size=(8, 10), change=corner)
    np.testing.assert_array_equal(kept.values, read_frames(path, 5).values[:, :8, :10])
    upright = (32, 64, 3) if turn == 0 else (64, 32, 3)
    assert asked == [(0.0, upright), (0.2, upright)]


def test_twice_the_same(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    np.testing.assert_array_equal(read_frames(path, 8).values, read_frames(path, 8).values)


def test_sound_only_refuses_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.wav")
    assert probe(path).video is None
    with pytest.raises(
        MediaError, match=r"a\.wav has no video track \(it has 1 audio track\(s\)\).*only listen"
    ):
        read_frames(path)


def test_no_such_rate(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"asked for at -1 Hz, expected a positive rate"):
        read_frames(tmp_path / "a.mp4", -1)
