"""Importing: zips and folders to a corpus; what fails or is killed leaves the corpus that was there."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from blended.data import atomic, importing
from blended.data.clip import Corpus
from blended.data.corpora import read_corpus
from blended.data.errors import InputError
from blended.data.importing import import_corpus
from toys.clips import toy_corpus, write_clip


def _say(message: str) -> None:
    del message


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BLEMORE as released: toy clips as .mov."""
    folder = toy_corpus(tmp_path_factory.mktemp("released"), seconds=0.1)
    for path in folder.rglob("*.mp4"):
        path.rename(path.with_suffix(".mov"))
    return folder


@pytest.fixture
def zipped(released: Path, tmp_path: Path) -> Path:
    """As on Zenodo: clips in two zips, the table and features beside them."""
    source = tmp_path / "zenodo"
    (source / "HiCMAE_train").mkdir(parents=True)
    (source / "HiCMAE_train" / "A101_ang_int1_ver1.npy").touch()
    shutil.copy(released / "train_metadata.csv", source)
    for name in ("train", "test"):
        with zipfile.ZipFile(source / f"{name}_data.zip", "w") as opened:
            for path in sorted((released / name).iterdir()):
                opened.write(path, f"somewhere/{path.name}")
    return source


def _import(source: Path, folder: Path, name: str = "blemore", *, labels_only: bool = False) -> Corpus:
    return import_corpus(name, source, folder, labels_only=labels_only, log=_say)


def test_zips_and_folders_give_the_same_corpus(zipped: Path, released: Path, tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    told: list[str] = []
    corpus = import_corpus(
        "blemore",
        zipped,
        tmp_path / "c",
        log=told.append,
        progress=lambda done, of: progress.append((done, of)),
    )
    assert (len(corpus.train), len(corpus.test)) == (50, 10)
    assert all(clip.path.is_file() for clip in corpus.clips)
    assert "60 clips of blemore from 61 files; 1 files of" in told[-1]
    assert progress[0] == (0, 62) and progress[-1] == (62, 62)
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [
        "import.yaml", "test", "train", "train_metadata.csv"
    ]  # fmt: skip
    other = _import(released, tmp_path / "d")
    assert other.label_hash() == corpus.label_hash() == read_corpus("blemore", tmp_path / "d").label_hash()
    # Recordings are linked, not doubled; a table that is edited later leaves the corpus as it is.
    clip = corpus.train[0].path.relative_to(tmp_path / "c")
    assert (tmp_path / "d" / clip).samefile(released / clip)
    assert not (tmp_path / "d" / "train_metadata.csv").samefile(released / "train_metadata.csv")
    assert [path.name for path in tmp_path.glob(".*.tmp")] == []


def test_labels_only(released: Path, tmp_path: Path) -> None:
    corpus = _import(released, tmp_path / "c", labels_only=True)
    assert (len(corpus.train), len(corpus.test), corpus.has_media) == (50, 0, False)
    assert read_corpus("blemore", tmp_path / "c") == corpus
    assert not (tmp_path / "c" / "train").exists()


def test_a_wrong_source_changes_nothing(released: Path, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    _import(released, folder)
    before = sorted(path.as_posix() for path in folder.rglob("*"))
    broken = tmp_path / "broken"
    shutil.copytree(released, broken)
    (broken / "train" / "A101_ang_int1_ver1.mov").unlink()
    with pytest.raises(
        InputError, match=r"names clips that are not in .*\(nothing was imported; .* is as it was\)"
    ):
        _import(broken, folder)
    (broken / "evil.zip").write_bytes(b"")
    with pytest.raises(InputError, match=r"evil\.zip is damaged or no zip"):
        _import(broken, folder)
    shutil.copy(released / "train" / "A102_ang_int1_ver1.mov", broken / "test")
    (broken / "evil.zip").unlink()
    with pytest.raises(InputError, match=r"are both train/A102_ang_int1_ver1\.mov of the corpus: remove one"):
        _import(broken, folder)
    with pytest.raises(InputError, match=r"empty has nothing of the corpus: expected train_metadata"):
        (tmp_path / "empty").mkdir()
        _import(tmp_path / "empty", folder)
    with pytest.raises(InputError, match=r"nowhere does not exist: expected train_metadata\.csv and clips"):
        _import(tmp_path / "nowhere", folder)
    with pytest.raises(InputError, match=r"lies in .*, which it would replace: import from another folder"):
        _import(folder, folder)
    assert sorted(path.as_posix() for path in folder.rglob("*")) == before
    assert [path.name for path in tmp_path.glob(".*.tmp")] == []


def test_a_card_alone_is_no_corpus(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "card.yaml").write_text("name: other\n")
    with pytest.raises(InputError, match=r"source has nothing of the corpus: expected recordings named like"):
        _import(tmp_path / "source", tmp_path / "c", "ravdess")


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_second_import_replaces_the_first(
    released: Path, tmp_path: Path, can_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    _import(released, tmp_path / "c", labels_only=True)
    assert len(_import(released, tmp_path / "c").test) == 10
    assert _import(released, tmp_path / "c", labels_only=True).test == ()
    assert not (tmp_path / "c" / "train").exists()
    assert [path.name for path in tmp_path.glob(".*.tmp")] == []


KILLED = """
import sys, time
from pathlib import Path
from blended.data import importing
link = importing._link
def slowly(path, target):
    link(path, target)
    print("linked", flush=True)
    time.sleep(0.2)
importing._link = slowly
importing.import_corpus("blemore", Path(sys.argv[1]), Path(sys.argv[2]), log=print)
"""


def test_kill_9_leaves_the_old_corpus(released: Path, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    old = _import(released, folder, labels_only=True)
    command = [sys.executable, "-c", KILLED, str(released), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ""}) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert read_corpus("blemore", folder) == old
    assert len([*tmp_path.glob(".c.*.tmp")]) == 1
    began = time.monotonic()
    assert len(_import(released, folder).test) == 10
    assert time.monotonic() - began < 10
    assert [*tmp_path.glob(".c.*.tmp")] == []


def test_ravdess_brings_its_exclusions_and_folds(tmp_path: Path) -> None:
    source = tmp_path / "Audio_Speech_Actors"
    for actor in range(1, 7):
        for emotion in ("01", "05", "08"):
            stem = f"03-01-{emotion}-01-01-01-{actor:02d}"
            write_clip(source / f"Actor_{actor:02d}" / f"{stem}.wav", seconds=0.1, tone_hz=200 + 10 * actor)
    shutil.copy(source / "Actor_02" / "03-01-05-01-01-01-02.wav", source / "Actor_05")
    (source / "README.txt").touch()
    corpus = import_corpus("ravdess", source, tmp_path / "c", num_folds=3, seed=1, log=_say)
    assert (len(corpus.clips), corpus.folds, corpus.space.task) == (18, (0, 1, 2), "single")
    assert {path.name for path in (tmp_path / "c").iterdir()} == {
        "exclude.yaml", "import.yaml", "splits.csv", *(f"Actor_{actor:02d}" for actor in range(1, 7))
    }  # fmt: skip
    assert [remark.message[:26] for remark in corpus.remarks if "misfiled" in remark.message] == [
        "left out: a misfiled copy "
    ]
    # The shipped list knows a clip that is not in this part of the corpus, which is no mistake of its owner.
    assert [remark.level for remark in corpus.remarks] == ["note"]
    # What was written is read back, whatever seed is usual then.
    assert read_corpus("ravdess", tmp_path / "c").label_hash() == corpus.label_hash()
    with pytest.raises(InputError, match=r"RAVDESS has its labels in the names of its recordings"):
        read_corpus("ravdess", source, labels_only=True)
    with pytest.raises(InputError, match=r"has nothing of the corpus beside its recordings"):
        import_corpus("ravdess", source, tmp_path / "d", labels_only=True, log=_say)
    assert not (tmp_path / "d").exists()
    assert importing.UNPACKED not in {path.name for path in (tmp_path / "c").iterdir()}
