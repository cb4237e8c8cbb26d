"""Zips: what a right one gives, and every trick that is refused before anything is written."""

import stat
import zipfile
from pathlib import Path

import pytest

from blended.data.archives import Limits, unpack
from blended.data.errors import InputError

MIB = 1024**2


def _zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return path


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_and_litter(tmp_path: Path) -> None:
    files = {
        "train/a.mov": b"A",
        "train\\b.mov": b"B",
        "__MACOSX/train/._a.mov": b"",
        "x/.DS_Store": b"",
        "t.csv": b"",
    }
    unpack(_zip(tmp_path / "a.zip", files), tmp_path / "out")
    assert _names(tmp_path / "out") == ["t.csv", "train/a.mov", "train/b.mov"]
    assert (tmp_path / "out" / "train" / "b.mov").read_bytes() == b"B"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "C:/evil", "..\\evil", "C:\\evil"])
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    archive = _zip(tmp_path / "a.zip", {"good": b"", name: b"x"})
    with pytest.raises(InputError, match=r"a\.zip: the entry '.*evil' leads out of the archive's folder"):
        unpack(archive, tmp_path / "deep" / "out")
    assert _names(tmp_path) == ["a.zip"]


def test_links(tmp_path: Path) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
            entry = zipfile.ZipInfo("link")
            entry.external_attr = (kind | 0o777) << 16
            opened.writestr(entry, "/etc/passwd")
        with pytest.raises(InputError, match=r"the entry 'link' is a link or a device, not a file"):
            unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bombs(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"bomb": bytes(40 * MIB)})
    with pytest.raises(
        InputError, match=r"a\.zip: bomb would grow from \d+ to 41943040 bytes, more than 200 times"
    ):
        unpack(archive, tmp_path / "out")
    many = _zip(tmp_path / "b.zip", {f"{k}": bytes(8 * MIB) for k in range(4)})
    with pytest.raises(InputError, match=r"b\.zip: everything in it would grow from"):
        unpack(many, tmp_path / "out")
    stored = _zip(tmp_path / "c.zip", {"a": bytes(MIB), "b": bytes(MIB)}, zipfile.ZIP_STORED)
    with pytest.raises(InputError, match=r"c\.zip would unpack to 2 files of 0\.0 GiB, expected at most"):
        unpack(stored, tmp_path / "out", Limits(total_bytes=MIB))
    with pytest.raises(InputError, match=r"would unpack to 2 files .* expected at most 1 of"):
        unpack(stored, tmp_path / "out", Limits(num_files=1))
    assert not (tmp_path / "out").exists()


def test_a_size_that_lies(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"a": bytes(MIB)}, zipfile.ZIP_STORED)
    raw = archive.read_bytes()
    directory = raw.rindex(b"PK\x01\x02")
    archive.write_bytes(raw[: directory + 24] + (10).to_bytes(4, "little") + raw[directory + 28 :])
    with pytest.raises(InputError, match=r"is damaged or no zip|holds more than the 10 bytes"):
        unpack(archive, tmp_path / "out")


def test_twice_the_same_name(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr("a", "1")
        opened.writestr("a", "2")
    with pytest.raises(InputError, match=r"the entry 'a' occurs twice"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_no_zip(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("404 not found")
    with pytest.raises(InputError, match=r"a\.zip is damaged or no zip .*: copy or download it again"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    whole = _zip(tmp_path / "b.zip", {"a": bytes(range(256)) * 4000}, zipfile.ZIP_STORED).read_bytes()
    (tmp_path / "b.zip").write_bytes(whole[:5000] + b"\xff" + whole[5001:])
    with pytest.raises(InputError, match=r"b\.zip is damaged or no zip .*CRC"):
        unpack(tmp_path / "b.zip", tmp_path / "out")
