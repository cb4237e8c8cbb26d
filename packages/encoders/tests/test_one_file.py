"""A file by itself gives the numbers that a feature store would hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blended.data import Clip, InputError
from blended.data.store import FeatureStore
from blended.encoders import encoder_config, extract, one_file, pool_store
from blended.encoders.device import one_thread
from blended.encoders.one_file import Built, cut, decode, encode, wanted_by
from toys.clips import write_clip

NAMES = ("logmel", "prosody", "motion", "face")


def built(*names: str) -> Built:
    configs = [encoder_config(name) for name in names]
    return {config.name: (config, config.build()) for config in configs}


def test_equal_to_a_store(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=0.7)
    ignore: Any = lambda *_: None  # noqa: E731
    configs = [encoder_config(name) for name in NAMES]
    clips = [Clip("clip", path, "A1", fold=0)]
    extract(clips, configs, tmp_path / "stores", corpus_hash="toy", log=ignore, progress=ignore)
    encoders = built(*NAMES)
    with one_thread():
        pooled = encode([decode(path, wanted_by(encoders))], encoders)
    for name in NAMES:
        stored = pool_store(FeatureStore(tmp_path / "stores" / name), ["clip"])
        np.testing.assert_array_equal(pooled[name], stored)


def test_a_stream_is_decoded_once(tmp_path: Path) -> None:
    decoded = decode(write_clip(tmp_path / "clip.mp4"), wanted_by(built("motion", "face")))
    assert decoded.inputs["motion"] is decoded.inputs["face"]


def test_what_a_file_lacks_is_said(tmp_path: Path) -> None:
    encoders = built("logmel", "motion")
    mute = decode(write_clip(tmp_path / "mute.mp4", with_audio=False), wanted_by(encoders))
    assert mute.missing == {"logmel": "sound"} and {*mute.inputs} == {"motion"} and mute.has_video
    sound = decode(write_clip(tmp_path / "sound.wav"), wanted_by(encoders))
    assert sound.missing == {"motion": "picture"} and not sound.has_video


def test_nothing_that_can_be_used_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "mute.mp4", with_audio=False)
    with pytest.raises(InputError, match="has no sound, and nothing else is read by logmel, prosody"):
        decode(path, wanted_by(built("logmel", "prosody")))


def test_a_file_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_file, "MAX_DECODED_BYTES", 1000)
    with pytest.raises(
        InputError, match=r"lasts 0 minutes, which decode to .* GiB, .* cut it into shorter files"
    ):
        decode(write_clip(tmp_path / "clip.mp4"), wanted_by(built("motion")))


@pytest.mark.parametrize("seconds", [0.04, 0.2])
def test_very_short_files_have_features(tmp_path: Path, seconds: float) -> None:
    encoders = built(*NAMES)
    decoded = decode(write_clip(tmp_path / "clip.mp4", seconds=seconds), wanted_by(encoders))
    pooled = encode([decoded], encoders)
    assert all(np.isfinite(values).all() for values in pooled.values())


def test_a_piece_is_what_lies_between_its_ends(tmp_path: Path) -> None:
    encoders = built("logmel", "motion")
    decoded = decode(write_clip(tmp_path / "clip.mp4", seconds=2.0), wanted_by(encoders))
    piece = cut(decoded, 0.5, 1.5)
    sound, pictures = piece.inputs["logmel"], piece.inputs["motion"]
    assert len(sound.values) == 16000 and sound.start_seconds == pytest.approx(0.5)
    np.testing.assert_array_equal(sound.values, decoded.inputs["logmel"].values[8000:24000])
    assert len(pictures.values) in (12, 13) and pictures.start_seconds == pytest.approx(0.5, abs=0.05)
    assert piece.duration_seconds == 1.0


def test_a_piece_beyond_the_end_holds_the_last_sample(tmp_path: Path) -> None:
    encoders = built("logmel")
    decoded = decode(write_clip(tmp_path / "clip.wav", seconds=0.5), wanted_by(encoders))
    assert len(cut(decoded, 2.0, 3.0).inputs["logmel"].values) == 1


def test_several_pieces_at_once_are_the_same_as_one_by_one(tmp_path: Path) -> None:
    encoders = built("logmel", "motion")
    decoded = decode(write_clip(tmp_path / "clip.mp4", seconds=2.0), wanted_by(encoders))
    pieces = [cut(decoded, 0.0, 1.0), cut(decoded, 1.0, 2.0)]
    both = encode(pieces, encoders)
    for row, piece in enumerate(pieces):
        for name, values in encode([piece], encoders).items():
            np.testing.assert_array_equal(both[name][row], values[0])
