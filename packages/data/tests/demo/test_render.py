"""Clips on disk. One small corpus is rendered undisturbed; others are compared with it."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from blended.data import InputError
from blended.data.demo.config import GENERATOR, TINY, DemoConfig
from blended.data.demo.render import render
from blended.data.demo.script import takes
from blended.data.demo.voice import AUDIO_RATE_HZ

SMALL = TINY.model_copy(
    update={"clips_per_actor": 16, "min_seconds": 0.4, "max_seconds": 0.6, "frame_px": 64}
)


def quiet(_line: str) -> None:
    pass


def decoded(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Luma of all pictures, and all samples."""
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1 and len(container.streams.audio) == 1
        pictures: list[NDArray[np.uint8]] = []
        sound: list[NDArray[np.float32]] = []
        for frame in container.decode(video=0, audio=0):
            if isinstance(frame, av.VideoFrame):
                pictures.append(frame.to_ndarray(format="gray").astype(np.uint8))
            elif isinstance(frame, av.AudioFrame):
                sound.append(frame.to_ndarray()[0].astype(np.float32))
    return np.stack(pictures), np.concatenate(sound)


def contents(folder: Path) -> dict[str, str]:
    """Every file with a checksum: of what is decoded for media, of the bytes for the rest."""
    found: dict[str, str] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix == ".mp4":
            data = b"".join(part.tobytes() for part in decoded(path))
        else:
            data = path.read_bytes()
        found[path.relative_to(folder).as_posix()] = sha256(data).hexdigest()
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "corpus"
    render(SMALL, folder, workers=1, log=quiet)
    return folder


@pytest.fixture(scope="module")
def undisturbed(corpus: Path) -> dict[str, str]:
    return contents(corpus)


def test_files_are_those_of_the_description(undisturbed: dict[str, str]) -> None:
    beside = {
        "train_metadata.csv",
        "apart/test_metadata.csv",
        "test_actors.csv",
        "ceiling.json",
        "DATACARD.md",
        ".config.json",
        "manifest.json",
    }
    media = {take.path for take in takes(SMALL)}
    assert set(undisturbed) == beside | media
    assert len(media) == 96


def test_labels_name_the_clips_and_test_labels_are_apart(corpus: Path) -> None:
    with (corpus / "train_metadata.csv").open(newline="") as file:
        train = [row["filename"] for row in csv.DictReader(file)]
    with (corpus / "apart" / "test_metadata.csv").open(newline="") as file:
        test = [row["filename"] for row in csv.DictReader(file)]
    assert sorted(train) == sorted(path.stem for path in (corpus / "train").glob("*.mp4"))
    assert sorted(test) == sorted(path.stem for path in (corpus / "test").glob("*.mp4"))
    assert not any("test_" in name for name in train)


def test_media_have_pictures_and_sound_of_the_same_length(corpus: Path) -> None:
    for path in sorted(corpus.glob("*/*.mp4"))[::7]:
        pictures, sound = decoded(path)
        seconds = len(pictures) / 25
        assert pictures.shape[1:] == (64, 64)
        assert SMALL.min_seconds <= seconds <= SMALL.max_seconds
        assert len(sound) / AUDIO_RATE_HZ == pytest.approx(seconds, abs=0.07)
        with av.open(str(path)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert (audio.codec_context.name, audio.rate, audio.channels) == ("aac", AUDIO_RATE_HZ, 1)
            assert video.average_rate == 25


def test_pictures_move_and_actors_differ_more_than_expressions(corpus: Path) -> None:
    planned = [take for take in takes(SMALL) if take.split == "train"]
    means: dict[str, list[NDArray[np.float64]]] = {}
    for take in planned:
        pictures, _ = decoded(corpus / take.path)
        assert np.abs(np.diff(pictures.astype(float), axis=0)).mean() > 0.05
        means.setdefault(take.actor, []).append(pictures.mean(axis=0))
    within = np.mean([np.var(clips, axis=0).mean() for clips in means.values()])
    between = np.var([np.mean(clips, axis=0) for clips in means.values()], axis=0).mean()
    assert between > 10 * within


def test_very_quiet_sound_survives_the_codec(corpus: Path) -> None:
    levels_db = []
    for path in sorted(corpus.glob("train/*.mp4")):
        _, sound = decoded(path)
        assert np.isfinite(sound).all()
        levels_db.append(10 * np.log10(np.mean(sound.astype(float) ** 2)))
    assert -78 < min(levels_db) < -60


def test_the_first_line_of_the_card_says_synthetic(corpus: Path) -> None:
    text = (corpus / "DATACARD.md").read_text(encoding="utf-8")
    assert "synthetic" in text.splitlines()[0] and "say nothing about people" in text.splitlines()[0]
    assert GENERATOR in text and "`train/`: 80 clips of 5 actors" in text


def test_the_ceiling_is_published(corpus: Path) -> None:
    found = json.loads((corpus / "ceiling.json").read_text(encoding="utf-8"))
    assert found["generator"] == GENERATOR
    assert found["test"]["num_clips"] == 16
    assert found["train"]["oracle"]["face_voice_and_timing"]["presence_accuracy"] > 0.7


def test_two_processes_render_the_same(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    seen: list[tuple[int, int]] = []
    render(
        SMALL, tmp_path / "two", workers=2, log=quiet, progress=lambda done, total: seen.append((done, total))
    )
    assert contents(tmp_path / "two") == undisturbed
    assert seen[0] == (0, 96) and seen[-1] == (96, 96)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_killed_and_continued_is_the_same_as_undisturbed(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    folder = tmp_path / "killed"
    code = (
        "import sys; from pathlib import Path; from blended.data.demo.config import DemoConfig\n"
        "from blended.data.demo.render import render\n"
        "config = DemoConfig.model_validate_json(sys.argv[2])\n"
        "render(config, Path(sys.argv[1]), workers=1, log=lambda line: None)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder), SMALL.model_dump_json()])
    while len(list(folder.glob("train/A*.mp4"))) < 10 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "train_metadata.csv").exists()
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("train/A*.mp4")}
    (folder / "train" / ".A101_ang_int1_ver1.abc.tmp.mp4").write_bytes(b"half")
    render(SMALL, folder, workers=1, log=quiet)
    assert contents(folder) == undisturbed
    assert len(finished) >= 10
    assert all(path.stat().st_mtime_ns == written for path, written in finished.items())


def test_what_is_damaged_or_missing_is_rendered_anew(corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "corpus"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    first, second, *_ = sorted(folder.glob("train/*.mp4"))
    first.write_bytes(before[first][:-1] + bytes([before[first][-1] ^ 1]))
    second.unlink()
    said: list[str] = []
    render(SMALL, folder, workers=1, log=said.append)
    assert [line.endswith("it is rendered anew") for line in said[:2]] == [True, True]
    assert "is damaged" in said[0] and str(first) in said[0] and f"{second} is missing" in said[1]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_folder_of_another_corpus_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds a demo corpus with other settings"):
        render(SMALL.model_copy(update={"seed": 1}), corpus, workers=1, log=quiet)
    (tmp_path / "train_metadata.csv").write_text("filename\n")
    with pytest.raises(InputError, match="is not empty and was not rendered by demo-v1"):
        render(SMALL, tmp_path, workers=1, log=quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["train_metadata.csv"]


def test_no_worker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="workers=0: at least one process"):
        render(DemoConfig(), tmp_path / "none", workers=0, log=quiet)
    assert not (tmp_path / "none").exists()
