"""Faces in every real video: counted sensibly, and found or not where a file's name says so."""

from pathlib import Path

import numpy as np
import pytest

from blended.data.media import probe
from blended.encoders.faces import FaceCrop, FaceStream


@pytest.fixture(scope="session")
def videos(reference: Path) -> list[Path]:
    files = sorted(path for path in (reference / "media").glob("*") if path.is_file())
    found = [path for path in files if probe(path).video is not None]
    if not found:
        pytest.skip(f"no videos in {reference / 'media'}")
    return found


def test_faces(videos: list[Path]) -> None:
    for path in videos:
        video = probe(path).video
        assert video is not None
        frames = FaceStream(5.0, (64, 64), FaceCrop()).read(path)
        assert abs(len(frames.values) - 5 * video.duration_seconds) <= 1, path
        assert abs(frames.num_searched - 4 * video.duration_seconds) <= 1, path
        assert 0 <= frames.num_without <= frames.num_searched, path
        if "single_face" in path.stem:
            assert frames.num_without == 0, path
            # Skin in the middle: redder than blue.
            middle = np.median(frames.values[:, 24:40, 24:40], axis=(0, 1, 2))
            assert middle[0] > middle[2], path
        if "no_face" in path.stem:
            assert frames.num_without == frames.num_searched, path
