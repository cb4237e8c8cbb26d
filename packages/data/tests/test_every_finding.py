"""Every finding that a corpus may give: a planted fault, its grade, its sentence, and its cure."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from blended.data.clip import Finding
from blended.data.corpora import read_corpus
from blended.data.errors import InputError
from blended.data.findings import check
from blended.data.index import build_index, write_index
from toys.clips import toy_corpus, write_clip

CLIP = "A101_hap_int1_ver1"
"""Where faults are planted; in fold 0."""
TABLE = "train_metadata.csv"


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_corpus(tmp_path_factory.mktemp("toys"), seconds=0.4)


@pytest.fixture(scope="session")
def measured(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is known of the toys, so that only what is planted is looked into."""
    cache = tmp_path_factory.mktemp("cache")
    _found(toys, cache)
    return cache


@pytest.fixture
def cache(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured, tmp_path / "cache"))


@pytest.fixture
def folder(toys: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toys, tmp_path / "corpus"))


def _path(folder: Path, stem: str = CLIP) -> Path:
    return folder / "train" / f"{stem}.mp4"


def _write(**options: object) -> Callable[[Path], object]:
    return lambda folder: write_clip(_path(folder), **{"size": (32, 32), **options})  # type: ignore[arg-type]


def _cut(share: float) -> Callable[[Path], object]:
    def plant(folder: Path) -> None:
        path = write_clip(_path(folder), size=(32, 32), seconds=1.0, fast_start=True)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return plant


def _copy(stem: str) -> Callable[[Path], object]:
    return lambda folder: shutil.copy(_path(folder, stem), _path(folder))


def _rows(change: Callable[[list[dict[str, str]]], object]) -> Callable[[Path], object]:
    def plant(folder: Path) -> None:
        with (folder / TABLE).open(newline="") as file:
            rows = list(csv.DictReader(file))
        change(rows)
        with (folder / TABLE).open("w", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0]])
            writer.writeheader()
            writer.writerows(rows)

    return plant


def _relabel(rows: list[dict[str, str]]) -> None:
    next(row for row in rows if row["filename"] == CLIP)["emotion_1"] = "sad"


def _move(rows: list[dict[str, str]]) -> None:
    next(row for row in rows if row["filename"] == CLIP)["fold"] = "3"


def _leave_one_actor_few(folder: Path) -> None:
    """Four clips of ten, without blends."""
    keep = [f"A105_{name}_int1_ver1" for name in ("ang", "disg", "fea", "hap")]
    _rows(lambda rows: rows.__setitem__(slice(None), [
        row for row in rows if row["video_id"] != "A105" or row["filename"] in keep]))(folder)  # fmt: skip
    for path in (folder / "train").glob("A105*"):
        if path.stem not in keep:
            path.unlink()


FAULTS: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    # fault: (how it is planted, grade, clip, part of the sentence)
    "zero bytes": (lambda f: _path(f).write_bytes(b""), "error", CLIP, "is empty (0 bytes)"),
    "text": (lambda f: _path(f).write_text("404"), "error", CLIP, "cannot be opened as media"),
    "truncated": (_cut(0.6), "error", CLIP, "is cut off: "),
    "truncated a little": (_cut(0.97), "error", CLIP, "is cut off: "),
    "a hole of zeros": (
        lambda f: _path(f).write_bytes(_path(f).read_bytes()[:300] + bytes(3000)), "error", CLIP, ".mp4"
    ),
    "no sound": (_write(with_audio=False), "error", CLIP, "no audio track, while other clips have one"),
    "no picture": (_write(with_video=False), "error", CLIP, "no video track, while other clips have one"),
    "duplicate": (
        _copy("A101_fea_int1_ver1"), "warning", CLIP,
        "the same file as 'A101_fea_int1_ver1': remove one, or it counts twice",
    ),
    "in train and validation": (
        _copy("A102_fea_int1_ver1"), "error", "A102_fea_int1_ver1",
        f"the same file as '{CLIP}', which is in fold 0 while this is in fold 1: remove one, or what is",
    ),
    "in train and test": (
        lambda f: shutil.copy(f / "test" / "test_0003.mp4", _path(f)), "error", "test_0003",
        "which is in fold 0 while this is in the test partition: remove one",
    ),
    "actor in two folds": (
        _rows(_move), "error", "",
        f"actor 'A101' is in fold 0 (9 clips such as A101_ang_int1_ver1) and in fold 3 ({CLIP}): expected "
        f"every actor in one fold",
    ),
    "label and name disagree": (
        _rows(_relabel), "error", CLIP,
        f"line 5: '{CLIP}' says hap but its columns say sad; correct one of them, or list it in exclude",
    ),
    "silent": (_write(amplitude=0.0), "warning", CLIP, "the sound is silent (-120 dBFS): check the"),
    "clipped": (_write(amplitude=4.0), "warning", CLIP, "of the sound is at full scale: it is clipped"),
    "uneven frames": (
        _write(frame_times=[0.0, 0.1, 0.5, 0.52, 0.9]), "note", CLIP, "the frame rate varies around"
    ),
    "short sound": (
        _write(seconds=1.0, audio_seconds=0.3), "warning", CLIP, "the sound lasts 0.30 s, the picture 1.00 s"
    ),
    "uneven actors": (
        _leave_one_actor_few, "note", "", "actors are uneven, from 4 (A105) to 10 (A101) training clips"
    ),
}  # fmt: skip


def _found(folder: Path, cache: Path) -> list[Finding]:
    return check(build_index(read_corpus("demo", folder), cache, folder=folder))


def test_a_sound_corpus_gives_notes_about_itself_only(toys: Path, cache: Path) -> None:
    assert {(one.level, one.clip_id) for one in _found(toys, cache)} == {("note", "")}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_at_its_grade(folder: Path, toys: Path, cache: Path, fault: str) -> None:
    plant, level, clip_id, sentence = FAULTS[fault]
    usual = _found(toys, cache)
    plant(folder)
    found = [one for one in _found(folder, cache) if one not in usual]
    about = [one for one in found if one.clip_id == clip_id and sentence in one.message]
    assert [one.level for one in about] == [level], found
    assert {one.clip_id for one in found} <= {clip_id, ""}, "nothing is said of other clips"
    if level == "error":
        assert [one for one in found if one.level == "error"] == about


@pytest.mark.parametrize("fault", [name for name, (_, level, *_) in FAULTS.items() if level == "error"])
def test_an_error_ends_where_its_clip_is_listed_with_a_reason(folder: Path, cache: Path, fault: str) -> None:
    plant, _, clip_id, _ = FAULTS[fault]
    plant(folder)
    (folder / "exclude.yaml").write_text(f"- clip: {clip_id or CLIP}\n  reason: planted\n")
    found = _found(folder, cache)
    assert [one for one in found if one.level == "error"] == []
    assert Finding("note", clip_id or CLIP, "left out: planted (exclude.yaml)") in found


def test_no_index_of_a_leak_is_written(folder: Path, tmp_path: Path) -> None:
    _rows(_move)(folder)
    made = build_index(read_corpus("demo", folder), tmp_path / "cache", folder=folder)
    with pytest.raises(InputError, match=r"demo: actor 'A101' is in folds 0 and 3: .* in one fold only"):
        write_index(made, tmp_path / "index.parquet")
    assert not (tmp_path / "index.parquet").exists()


def _text(old: str, new: str) -> Callable[[Path], object]:
    def plant(folder: Path) -> None:
        path = folder / TABLE
        text = path.read_text()
        assert old in text
        path.write_bytes(text.replace(old, new, 1 if len(old) > 1 else -1).encode("latin-1"))

    return plant


BAD_TABLES: dict[str, tuple[Callable[[Path], object], str]] = {
    # what is wrong: (how it is planted, the sentence, which names file, line and remedy)
    "wrong shares": (
        _text(",70.0,30.0,", ",70.0,40.0,"),
        r"train_metadata\.csv, line 8 must be corrected: shares must add up to 100",
    ),
    "a row without its clip": (
        lambda f: _path(f).unlink(),
        rf"train_metadata\.csv names clips that are not in .*: {CLIP}; .* or list them in exc",
    ),
    "two rows for one clip": (
        _rows(lambda rows: rows.append(rows[3])),
        rf"train_metadata\.csv, line 52: clip '{CLIP}' is already on line 5; .*remove one of them",
    ),
    "not UTF-8": (
        _text("A101_ang_int1_ver1", "A101_\xe4ng_int1_ver1"),
        r"train_metadata\.csv, line 2: cannot be read as UTF-8 CSV \(byte 0xe4\); save it with the encod",
    ),
    "UTF-16": (
        lambda f: (f / TABLE).write_bytes((f / TABLE).read_text().encode("utf-16")), r"UTF-16|as UTF-8 CSV"
    ),
    "semicolons": (_text(",", ";"), r"the separator must be a comma, so save it with commas"),
    "a missing column": (
        _text("emotion_1_salience", "salience"), r"lacks the column\(s\) emotion_1_salience; it has filename"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_TABLES)
def test_a_bad_table_is_refused_with_line_and_remedy(folder: Path, fault: str) -> None:
    plant, sentence = BAD_TABLES[fault]
    plant(folder)
    with pytest.raises(InputError, match=sentence):
        read_corpus("demo", folder)


def test_line_ends_of_windows_are_no_fault(folder: Path, toys: Path) -> None:
    text = (folder / TABLE).read_text().replace("\r\n", "\n")
    (folder / TABLE).write_bytes(text.replace("\n", "\r\n").encode())
    assert read_corpus("demo", folder).label_hash() == read_corpus("demo", toys).label_hash()
