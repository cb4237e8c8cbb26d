"""Corpus folders: what is read from a right one, and the sentence for every wrong one."""

import csv
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from blended.data.corpora import CORPORA, blemore, ceiling, demo, held_out_truth, read_corpus
from blended.data.errors import InputError
from blended.data.labels import Mixture
from toys.clips import TOY_LABELS, toy_corpus

Rows = list[dict[str, str]]


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_corpus(tmp_path_factory.mktemp("toys"), seconds=0.1)


@pytest.fixture
def folder(toys: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toys, tmp_path / "corpus"))


def _edit(folder: Path, change: Callable[[Rows], object], table: str = "train_metadata.csv") -> None:
    path = folder / table
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    fields = [*rows[0]]
    change(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)


def test_the_demo_layout(toys: Path) -> None:
    corpus = read_corpus("demo", toys)
    assert (corpus.name, corpus.synthetic, corpus.folds) == ("demo", True, (0, 1, 2, 3, 4))
    assert corpus.space == blemore.SPACE
    assert len(corpus.train) == 50
    assert Counter(clip.actor for clip in corpus.train) == {f"A{101 + k}": 10 for k in range(5)}
    assert [clip.mixture for clip in corpus.train[:10]] == [*TOY_LABELS]
    assert all(clip.path.is_file() for clip in corpus.clips)
    assert [clip.id for clip in corpus.test] == [f"test_{k:04d}" for k in range(1, 11)]
    assert all((clip.actor, clip.fold, clip.mixture) == ("", None, None) for clip in corpus.test)


def test_the_truth_of_test_clips_is_kept_apart(folder: Path) -> None:
    assert demo.test_truth(folder)["test_0007"] == Mixture({"ang": 70.0, "disg": 30.0})
    shutil.rmtree(folder / "apart")
    assert len(read_corpus("demo", folder).test) == 10
    with pytest.raises(InputError, match=r"test_metadata\.csv does not exist"):
        demo.test_truth(folder)


def test_only_who_keeps_the_truth_tells_it(folder: Path) -> None:
    assert held_out_truth("demo", folder) == demo.test_truth(folder)
    assert ceiling("demo", folder) == {}
    (folder / "ceiling.json").write_text('{"train": {"oracle": {"voice": {"score": 0.5}}}}')
    assert ceiling("demo", folder) == {"voice": {"score": 0.5}}
    assert (held_out_truth("blemore", folder), ceiling("blemore", folder)) == ({}, {})
    shutil.rmtree(folder / "test")
    assert held_out_truth("demo", folder) == {}


def test_the_released_layout(folder: Path) -> None:
    for path in folder.rglob("*.mp4"):
        path.rename(path.with_suffix(".MOV" if "A101" in path.name else ".mov"))
    (folder / "train" / "._A101_ang_int1_ver1.mov").touch()
    corpus = read_corpus("blemore", folder)
    assert (corpus.name, corpus.synthetic, len(corpus.train), len(corpus.test)) == ("blemore", False, 50, 10)
    assert all(clip.path.is_file() for clip in corpus.clips)
    shutil.rmtree(folder / "test")
    assert read_corpus("blemore", folder).test == ()


def test_unknown_corpus(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"unknown corpus 'blemor': did you mean 'blemore'\? Known: blemore, cremad, demo, .*table",
    ):
        read_corpus("blemor", tmp_path)


@pytest.mark.parametrize("name", CORPORA)
def test_no_folder_and_empty_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"nowhere is not a folder, expected the .* corpus: check the path"):
        read_corpus(name, tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"expected|does not exist"):
        read_corpus(name, tmp_path)


def test_all_missing_clips_in_one_message(folder: Path) -> None:
    for path in sorted((folder / "train").glob("A102*")):
        path.unlink()
    with pytest.raises(InputError) as refused:
        read_corpus("demo", folder)
    message = str(refused.value)
    assert "train_metadata.csv names clips that are not in" in message
    assert "A102_ang_int1_ver1, A102_disg_int1_ver1" in message
    assert " and 5 more; expected a .mp4 file for every row" in message
    assert message.count("A102_") == 5


def test_clip_without_its_row(folder: Path) -> None:
    _edit(folder, lambda rows: rows.pop(3))
    with pytest.raises(InputError, match=r"clips without a row in .*: A101_hap_int1_ver1; expected"):
        read_corpus("demo", folder)


def test_stray_test_clip(folder: Path) -> None:
    shutil.copy(folder / "test" / "test_0001.mp4", folder / "test" / "copy.mp4")
    with pytest.raises(InputError, match=r"test has copy: expected test clips named like test_0001"):
        read_corpus("demo", folder)


def _set(line: int, **cells: str) -> Callable[[Rows], object]:
    return lambda rows: rows[line - 2].update(cells)


BLEND = 8
"""The line of A101_mix_ang_disg_70_30_ver1."""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda rows: rows.append(rows[1]),
            r"csv, line 52: clip 'A101_disg_int1_ver1' is already on line 3; exp",
        ),
        (
            _set(2, emotion_1="anger"),
            r"csv, line 2 must be corrected: unknown emotion 'anger': did you mean 'ang'",
        ),
        (
            _set(BLEND, emotion_1_salience="60"),
            r"csv, line 8 must be corrected: shares must add up to 100 percent",
        ),
        (
            _set(BLEND, emotion_1_salience="x"),
            r"line 8 must be corrected: the saliences of .* must be two numbers",
        ),
        (_set(BLEND, mix="0"), r"line 8 must be corrected: mix of .* must be 1 with two emotions"),
        (_set(2, fold="-1"), r"line 2 must be corrected: fold of .* must be a number from 0, got '-1'"),
        (_set(2, video_id=""), r"line 2 must be corrected: filename and video_id must be filled"),
        (
            _set(2, filename="test_0001"),
            r"csv names the test clip 'test_0001', expected training clips only; move its row",
        ),
        (lambda rows: rows.clear(), r"train_metadata\.csv has no rows below its header"),
    ],
)
def test_wrong_rows(folder: Path, change: Callable[[Rows], object], sentence: str) -> None:
    _edit(folder, change)
    with pytest.raises(InputError, match=sentence):
        read_corpus("demo", folder)


def test_labels_that_disagree_with_names_are_all_told(folder: Path) -> None:
    def change(rows: Rows) -> None:
        rows[0]["emotion_1"] = "sad"
        rows[3]["emotion_1"] = "neu"

    _edit(folder, change)
    remarks = read_corpus("demo", folder).remarks
    assert [(remark.level, remark.clip_id) for remark in remarks] == [
        ("error", "A101_ang_int1_ver1"),
        ("error", "A101_hap_int1_ver1"),
    ]
    assert (
        "train_metadata.csv, line 2: 'A101_ang_int1_ver1' says ang but its columns say sad"
        in remarks[0].message
    )
    with pytest.raises(InputError, match=r"line 2 must be corrected: 'A101_ang_int1_ver1' says ang but"):
        blemore.read_metadata(folder / "train_metadata.csv")


def test_excluded_clips_are_not_even_judged(folder: Path) -> None:
    _edit(folder, lambda rows: (rows[0].update(emotion_1="anger"), rows[1].update(fold="4")))
    (folder / "train" / "A102_ang_int1_ver1.mp4").unlink()
    (folder / "exclude.yaml").write_text(
        "- {clip: A101_ang_int1_ver1, reason: unknown emotion}\n"
        "- {clip: A101_disg_int1_ver1, reason: wrong fold}\n"
        "- {file: train/A102_ang_int1_ver1, reason: lost}\n"
        '- {clip: "test_00??", reason: later}\n'
        "- {clip: A999, reason: a slip of the pen}\n"
    )
    corpus = read_corpus("demo", folder)
    assert (len(corpus.train), len(corpus.test)) == (47, 0)
    told = {remark.clip_id: remark for remark in corpus.remarks}
    assert len(corpus.remarks) == 3 + 10 + 1
    assert told["A102_ang_int1_ver1"].message == "left out: lost (exclude.yaml)"
    assert told["A102_ang_int1_ver1"].level == "note"
    assert (told[""].level, "leaves out 'A999', which is not in the corpus" in told[""].message) == (
        "warning",
        True,
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- clip: a", r"exclude\.yaml: entry 1: .*expected a list of `- clip: ID`"),
        ("- {clip: a, reason: ''}", r"exclude\.yaml: entry 1: .*and a `reason`"),
        ("- {clip: a, reason: b}\n- {clip: a, file: c, reason: b}", r"entry 2: .*either `clip` or `file`"),
        ("clips: [", r"exclude\.yaml is not valid YAML"),
        ("- {clip: a, why: b, reason: c}", r"entry 1: Extra inputs"),
    ],
)
def test_wrong_exclusions(folder: Path, text: str, sentence: str) -> None:
    (folder / "exclude.yaml").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_corpus("demo", folder)


def test_labels_only(folder: Path) -> None:
    shutil.rmtree(folder / "train")
    corpus = read_corpus("demo", folder, labels_only=True)
    assert (len(corpus.train), corpus.has_media, corpus.test) == (50, False, ())


@pytest.mark.parametrize(("fold", "other"), [("2", "3"), ("0", "4"), ("3", "999999999")])
def test_a_gap_in_the_folds(folder: Path, fold: str, other: str) -> None:
    def move(rows: Rows) -> None:
        for row in rows:
            row["fold"] = other if row["fold"] == fold else row["fold"]

    _edit(folder, move)
    with pytest.raises(
        InputError, match=rf"csv: fold {fold} has no clip, but there is a fold .* without a gap"
    ):
        read_corpus("demo", folder)


def test_wrong_tables(folder: Path) -> None:
    table = folder / "train_metadata.csv"
    text = table.read_text()
    table.write_text(text.replace("fold", "split"))
    with pytest.raises(InputError, match=r"lacks the column\(s\) fold; it has filename"):
        read_corpus("demo", folder)
    table.write_text(text.replace(",", ";"))
    with pytest.raises(InputError, match=r"the separator must be a comma"):
        read_corpus("demo", folder)
    table.write_bytes(b"\xff\xfe\x00filename")
    with pytest.raises(InputError, match=r"cannot be read as UTF-8 CSV|lacks the column"):
        read_corpus("demo", folder)
    (folder / "apart" / "test_metadata.csv").write_text(text)
    with pytest.raises(
        InputError, match=r"test_metadata\.csv names 'A101_ang_int1_ver1', expected test clips"
    ):
        demo.test_truth(folder)
