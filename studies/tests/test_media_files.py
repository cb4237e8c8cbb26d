"""Files and folders that a user names."""

from pathlib import Path

import pytest

from blended.data import InputError
from blended.studies.enrolment import media_files


def test_folders_are_searched_and_files_taken_once(tmp_path: Path) -> None:
    for name in ("b.MP4", "a.wav", "notes.txt", "._a.mp4", "deeper/c.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    listed = media_files([tmp_path / "b.MP4", tmp_path, tmp_path / "strange.bin"])
    assert [path.name for path in listed] == ["b.MP4", "a.wav", "strange.bin"]


def test_a_folder_without_media_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"has no media file, expected some of \.avi"):
        media_files([tmp_path])
