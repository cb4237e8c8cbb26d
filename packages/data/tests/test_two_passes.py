"""Indexing looks at headers first and decodes later: together that gives what the thorough way gives."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from blended.data.measurement import LISTEN_HZ, Measurement, inspect, loudness_dbfs, measure, voiced_share
from blended.data.media import MediaError, probe, read_audio
from blended.data.media.frames import first_picture
from blended.data.media.opening import opened
from blended.data.media.probing import glance, survey, survey_pictures
from toys.clips import write_clip

CLIPS: dict[str, dict[str, object]] = {
    "plain.mp4": {},
    "odd_size.mov": {"size": (63, 61)},
    "turned.mp4": {"rotation_degrees": 90, "size": (48, 64)},
    "turned_back.mov": {"rotation_degrees": 270, "size": (48, 64)},
    "upside_down.mp4": {"rotation_degrees": 180},
    "ntsc.mp4": {"fps": 29.97},
    "uneven.mp4": {"frame_times": [0.0, 0.1, 0.5, 0.52, 0.9]},
    "late_picture.mp4": {"frame_times": [0.4, 0.44, 0.48]},
    "late_sound.mp4": {"audio_start_seconds": 0.5},
    "short_sound.mp4": {"audio_seconds": 0.4},
    "long_sound.mov": {"audio_seconds": 1.5},
    "surround.mp4": {"channels": 6, "audio_rate_hz": 44100},
    "silent_film.mp4": {"with_audio": False},
    "voice.mp4": {"with_video": False},
    "one_frame.mp4": {"seconds": 0.04},
    "fast_start.mp4": {"fast_start": True},
    "plain.mov": {},
    "plain.mkv": {},
    "plain.webm": {"audio_rate_hz": 48000},
    "plain.wav": {},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("clips")
    for name, options in CLIPS.items():
        write_clip(made / name, **options)  # type: ignore[arg-type]
    return made


def thorough(path: Path) -> Measurement:
    """One opening that decodes what it needs, one that decodes the sound: nothing is spared."""
    found, info = inspect(path), probe(path)
    picture: dict[str, object] = {}
    if info.video is not None:
        video = info.video
        picture = {
            "video_codec": video.codec, "fps": video.fps, "constant_rate": video.constant_rate,
            "width": video.width, "height": video.height, "rotation_degrees": video.rotation_degrees,
            "video_seconds": video.duration_seconds,
        }  # fmt: skip
    sound: dict[str, object] = {}
    if info.audio is not None:
        heard = read_audio(path, LISTEN_HZ)
        sound = {
            "audio_codec": info.audio.codec, "rate_hz": info.audio.rate_hz, "channels": info.audio.channels,
            "audio_seconds": heard.duration_seconds, "loudness_dbfs": loudness_dbfs(heard.values),
            "clipped_share": float((abs(heard.values) >= 0.999).mean()),
            "voiced_share": voiced_share(heard.values, LISTEN_HZ),
        }  # fmt: skip
    return Measurement(found.sha256, None, info.container, info.duration_seconds, **picture, **sound)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CLIPS)
def test_both_ways_find_the_same(folder: Path, name: str) -> None:
    assert measure(folder / name) == thorough(folder / name)


@pytest.mark.parametrize(
    "name", [name for name, options in CLIPS.items() if "with_video" not in options][:14]
)
def test_the_first_look_times_every_frame(folder: Path, name: str) -> None:
    quick, slow = glance(folder / name).video, probe(folder / name).video
    assert quick is not None and slow is not None
    for what in (
        "fps",
        "constant_rate",
        "duration_seconds",
        "start_seconds",
        "declared_seconds",
        "num_frames",
    ):
        assert getattr(quick, what) == getattr(slow, what), what


@pytest.mark.parametrize("name", CLIPS)
def test_pictures_are_surveyed_without_opening_a_decoder_for_sound(folder: Path, name: str) -> None:
    quick, slow = survey_pictures(folder / name), survey(folder / name)
    assert (quick.info.video, quick.info.duration_seconds) == (slow.info.video, slow.info.duration_seconds)
    np.testing.assert_array_equal(quick.frame_seconds, slow.frame_seconds)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95, 0.999])
@pytest.mark.parametrize("name", ["plain.mp4", "plain.mov", "fast_start.mp4", "voice.mp4", "silent_film.mp4"])
def test_what_is_cut_off_is_found_in_the_first_pass(
    folder: Path, tmp_path: Path, name: str, share: float
) -> None:
    path = tmp_path / name
    data = (folder / name).read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    problem = inspect(path).problem
    assert problem is not None, "the first pass tells without a decoder"
    assert "cut off" in problem


def test_a_picture_of_zeros_is_a_problem(tmp_path: Path) -> None:
    """An interrupted download that left a hole."""
    path = write_clip(tmp_path / "hole.mp4", with_audio=False)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    assert "hole.mp4" in str(measure(path).problem)


def test_files_of_other_formats_take_the_thorough_way(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv").rename(tmp_path / "a.mp4")
    assert glance(path) == probe(path)
    with pytest.raises(MediaError, match=r"b\.mp4 does not exist"):
        glance(tmp_path / "b.mp4")
    with pytest.raises(MediaError, match=r"a\.wav has no video track"):
        first_picture(write_clip(tmp_path / "a.wav"))


def test_pictures_before_the_start_of_an_edit_list(tmp_path: Path) -> None:
    """The first packets are never shown, and without them nothing else decodes."""
    path = tmp_path / "edited.mp4"
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled", "use_editlist": "1"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "2", "g": "50"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(-4, 20):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * k + 40, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    shown = first_picture(path)
    assert (shown.width, shown.height, shown.rotation_degrees) == (64, 48, 0)
    assert measure(path) == thorough(path) and measure(path).problem is None


def test_headers_only_reads_no_packet_ahead(tmp_path: Path) -> None:
    with opened(write_clip(tmp_path / "a.mp4", audio_rate_hz=48000), headers_only=True) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
        assert container.streams.audio[0].codec_context.sample_rate == 48000
