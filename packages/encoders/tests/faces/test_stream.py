"""Clips with a real face that moves, appears, vanishes: what is cut out and what is said about it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError
from skimage import data

from blended.data import Clip, InputError
from blended.data.media import MediaError, read_frames
from blended.data.media.writing import write_video
from blended.data.store import FeatureStore
from blended.encoders import VideoStream, encoder_config, extract, identity_of, pool_store
from blended.encoders.device import one_thread
from blended.encoders.faces import FaceCrop, FaceStream, pictures, stream
from blended.encoders.faces.stream import cut_square, face_track
from blended.encoders.identity import code_version
from blended.encoders.one_file import decode, encode, wanted_by
from toys.clips import write_clip

PORTRAIT = data.astronaut()[40:220, 130:310]
CENTRE = (94, 78)
"""Of the face in the portrait."""
WIDTH, HEIGHT = 320, 240


def scene(left: int, top: int, face: bool = True) -> np.ndarray:
    """[240, 320, 3]: the portrait somewhere before a grey wall."""
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    picture[::20] = 100
    if face:
        picture[top : top + 180, left : left + 180] = PORTRAIT
    return picture


def film(path: Path, scenes: list[np.ndarray], fps: float = 12.5) -> Path:
    write_video(path, ((k / fps, picture) for k, picture in enumerate(scenes)), scenes[0].shape[:2])
    return path


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    stream._face_track.cache_clear()
    yield


@pytest.fixture(scope="module")
def walking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds in which the face goes from left to right."""
    scenes = [scene(5 * k, 30 + k) for k in range(25)]
    return film(tmp_path_factory.mktemp("film") / "walking.mp4", scenes)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "empty.mp4", [scene(0, 0, face=False)] * 13)


def test_the_crop_goes_with_the_face(walking: Path) -> None:
    frames = FaceStream(12.5, (96, 96), FaceCrop()).read(walking)
    assert frames.values.shape == (25, 96, 96, 3)
    assert (frames.num_searched, frames.num_without) == (8, 0)
    inner = frames.values[:, 24:72, 24:72].astype(float)
    apart = np.abs(inner[3:-3] - inner[12]).mean(axis=(1, 2, 3))
    whole = read_frames(walking, 12.5, size=(96, 96)).values[:, 24:72, 24:72].astype(float)
    assert apart.max() < 20 < np.abs(whole[3:-3] - whole[12]).mean(axis=(1, 2, 3)).max()


def test_the_track_is_where_the_face_was_put(walking: Path) -> None:
    track = face_track(walking, FaceCrop(rate_hz=12.5))
    steps = np.round(track.seconds * 12.5)
    assert len(steps) >= 24
    np.testing.assert_allclose(track.boxes[:, 0], 5 * steps + CENTRE[0], atol=8)
    np.testing.assert_allclose(track.boxes[:, 1], 30 + steps + CENTRE[1], atol=8)
    assert ((track.boxes[:, 2] > 80) & (track.boxes[:, 2] < 135)).all()


def test_pictures_without_a_face_are_counted_and_cut_where_it_was(tmp_path: Path) -> None:
    scenes = [scene(60, 30, face=k < 13) for k in range(26)]
    frames = FaceStream(12.5, (96, 96), FaceCrop(rate_hz=12.5)).read(film(tmp_path / "half.mp4", scenes))
    assert (frames.num_searched, frames.num_without) == (26, 13)
    assert frames.notes == {"pictures_searched": 26, "pictures_without_face": 13}
    # Its place is kept: the wall behind it, at the scale of the crop.
    assert abs(int(np.median(frames.values[-1])) - 128) <= 2


def test_a_clip_without_a_face_gives_whole_pictures(empty: Path) -> None:
    frames = FaceStream(5.0, (48, 64), FaceCrop()).read(empty)
    assert frames.num_without == frames.num_searched == 4
    np.testing.assert_array_equal(frames.values, VideoStream(5.0, (48, 64)).read(empty).values)


@pytest.mark.parametrize("turn", [90, 180])
def test_a_recording_on_its_side_is_upright(
    tmp_path: Path, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lying = np.ascontiguousarray(np.rot90(scene(60, 30), turn // 90))
    from toys import clips

    monkeypatch.setattr(clips, "picture", lambda _seconds, _size: lying)
    path = write_clip(
        tmp_path / "turned.mp4", size=lying.shape[:2], rotation_degrees=turn, with_audio=False, seconds=0.5
    )
    track = face_track(path, FaceCrop())
    assert track.num_without == 0
    np.testing.assert_allclose(track.boxes[:, :2], [[60 + CENTRE[0], 30 + CENTRE[1]]] * 2, atol=8)


def test_one_picture_is_enough(tmp_path: Path) -> None:
    frames = FaceStream(None, (32, 32), FaceCrop()).read(film(tmp_path / "one.mp4", [scene(60, 30)]))
    assert frames.values.shape == (1, 32, 32, 3) and (frames.num_searched, frames.num_without) == (1, 0)


def test_sound_and_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"a\.wav has no video track, expected pictures to find a face in"):
        FaceStream(5.0, (32, 32), FaceCrop()).read(write_clip(tmp_path / "a.wav"))
    with pytest.raises(MediaError, match="does not exist"):
        FaceStream(5.0, (32, 32), FaceCrop()).read(tmp_path / "b.mp4")


def test_a_clip_is_searched_once_for_every_rate_and_size(
    walking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[Any] = []
    find = stream.find_faces
    monkeypatch.setattr(stream, "find_faces", lambda picture: (searched.append(1), find(picture))[1])
    crop = FaceCrop()
    FaceStream(12.5, (96, 96), crop).read(walking)
    FaceStream(5.0, (32, 32), crop).read(walking)
    assert len(searched) == 8
    FaceStream(5.0, (32, 32), FaceCrop(margin=1.0)).read(walking)
    assert len(searched) == 16


def test_a_square_is_cut_to_a_fraction_of_a_pixel() -> None:
    """On a ramp, where every right way to scale gives the same numbers."""
    picture = np.broadcast_to(np.arange(0, 240, 2, dtype=np.uint8)[None, :, None], (120, 120, 3))
    picture = np.ascontiguousarray(picture)
    for x, side, size in ((60.25, 40.0, 20), (59.5, 33.3, 16), (60.0, 10.0, 30)):
        cut = cut_square(picture, x, 60.0, side, (size, size)).astype(float)
        expected = 2 * (x - 0.5 + (np.arange(size) + 0.5 - size / 2) * side / size)
        np.testing.assert_allclose(cut, np.broadcast_to(expected[None, :, None], cut.shape), atol=1.1)


def test_the_whole_picture_as_a_square_is_the_picture() -> None:
    picture = np.ascontiguousarray(PORTRAIT)
    np.testing.assert_array_equal(cut_square(picture, 90.0, 90.0, 180.0, (180, 180)), picture)


def test_beyond_the_border_the_border_goes_on() -> None:
    cut = cut_square(np.full((20, 20, 3), 77, np.uint8), 0.0, 0.0, 40.0, (16, 16))
    assert (cut == 77).all()


def test_without_faces_an_encoder_is_what_it_was() -> None:
    config = encoder_config("motion")
    assert "faces" not in config.model_dump_json()
    assert config.build().stream == VideoStream(12.5, (96, 96)) == pictures(12.5, (96, 96), None)


def test_with_faces_an_encoder_is_another() -> None:
    plain, cut = encoder_config("motion"), encoder_config({"name": "motion", "faces": {"margin": 0.5}})
    assert cut.build().stream == FaceStream(12.5, (96, 96), FaceCrop(margin=0.5))
    assert encoder_config({"name": "motion", "faces": None}) == plain
    assert cut.model_dump_json() != plain.model_dump_json() and code_version(cut) != code_version(plain)


def test_a_crop_is_checked() -> None:
    with pytest.raises(InputError, match=r"faces\.margin: .*greater than or equal to 0, got -1"):
        encoder_config({"name": "face", "faces": {"margin": -1}})
    with pytest.raises(ValidationError, match="detector"):
        FaceCrop.model_validate({"detector": "best"})


def test_the_store_says_where_no_face_was(walking: Path, empty: Path, tmp_path: Path) -> None:
    clips = [Clip("empty", empty, "A1", fold=0), Clip("walking", walking, "A1", fold=0)]
    configs = [encoder_config({"name": name, "faces": {}}) for name in ("motion", "face")]
    configs.append(encoder_config("prosody"))
    said: list[str] = []
    ignore: Any = lambda *_: None  # noqa: E731
    with pytest.raises(InputError, match="2 clips could not be encoded with prosody"):
        extract(clips, configs, tmp_path, corpus_hash="toy", log=said.append, progress=ignore)
    for config in configs[:2]:
        store = FeatureStore(tmp_path / config.name, identity_of(config, "toy"))
        assert store.notes == {
            "empty": {"pictures_searched": 4, "pictures_without_face": 4},
            "walking": {"pictures_searched": 8, "pictures_without_face": 0},
        }
    sentence = (
        "motion: no face in 4 of 12 pictures searched (1 of 2 clips); "
        "1 clip without any, whole pictures used: empty"
    )
    assert sentence in said and not any(line.startswith("prosody: no face") for line in said)


def test_a_file_by_itself_gives_what_the_store_has(walking: Path, tmp_path: Path) -> None:
    config = encoder_config({"name": "motion", "faces": {}})
    ignore: Any = lambda *_: None  # noqa: E731
    clips = [Clip("walking", walking, "A1", fold=0)]
    extract(clips, [config], tmp_path, corpus_hash="toy", log=ignore, progress=ignore)
    encoders = {"motion": (config, config.build())}
    with one_thread():
        decoded = decode(walking, wanted_by(encoders))
        pooled = encode([decoded], encoders)["motion"]
    np.testing.assert_array_equal(pooled, pool_store(FeatureStore(tmp_path / "motion"), ["walking"]))
    assert decoded.notes == {"motion": {"pictures_searched": 8, "pictures_without_face": 0}}


def test_searching_again_finds_the_same(walking: Path) -> None:
    first = FaceStream(12.5, (96, 96), FaceCrop()).read(walking).values
    stream._face_track.cache_clear()
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        np.testing.assert_array_equal(FaceStream(12.5, (96, 96), FaceCrop()).read(walking).values, first)
    finally:
        cv2.setNumThreads(before)
