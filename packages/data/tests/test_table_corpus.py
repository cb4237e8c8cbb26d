"""Corpora of one table: the three tasks, the cards that ship, and the sentence for every wrong row."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from blended.data.corpora import CORPORA, about, read_corpus
from blended.data.corpora.card import SHIPPED, read_card
from blended.data.errors import InputError
from blended.data.importing import import_corpus
from blended.data.labels import Mixture

SINGLE = """
name: own
table: labels.csv
media: clips
path: {column: file, suffix: .mp4}
actor: who
task: single
label: [emotion]
emotions: {anger: ang, joy: hap}
num_folds: 2
licence: CC-BY-4.0
"""
MIXTURE = """
name: own
table: labels.csv
path: {column: file}
actor: who
task: mixture
label: [first, second]
shares: [p, q]
emotions: {anger: ang, joy: hap, fear: fea}
fold: fold
"""
ROWS = "file,who,emotion\na1,A,anger\na2,A,joy\nb1,B,anger\nb2,B,joy\n"


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _single(folder: Path, rows: str = ROWS, card: str = SINGLE) -> Path:
    (folder / "card.yaml").write_text(card)
    (folder / "labels.csv").write_text(rows)
    _touch(folder, *(f"clips/{name}.mp4" for name in ("a1", "a2", "b1", "b2")))
    return folder


def test_single_labels(tmp_path: Path) -> None:
    corpus = read_corpus("own", _single(tmp_path))
    assert (corpus.name, corpus.space.task, corpus.space.emotions) == ("own", "single", ("ang", "hap"))
    assert [(clip.id, clip.actor, clip.fold) for clip in corpus.clips] == [
        ("a1", "A", 0), ("a2", "A", 0), ("b1", "B", 1), ("b2", "B", 1)
    ]  # fmt: skip
    assert corpus.clips[1].mixture == Mixture.single("hap")
    assert corpus.remarks == ()
    assert about("own", tmp_path).licence == "CC-BY-4.0"
    assert read_corpus("table", tmp_path).clips == corpus.clips


def test_mixtures_with_published_folds(tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text(MIXTURE)
    rows = "file,who,first,second,p,q,fold\nx/a.mov,A,anger,joy,62.5,37.5,0\ny/a.mov,B,fear,,,,1\n"
    (tmp_path / "labels.csv").write_text(rows)
    _touch(tmp_path, "x/a.mov", "y/a.mov", "z/other.mov")
    corpus = read_corpus("own", tmp_path)
    assert [clip.mixture and clip.mixture.name for clip in corpus.clips] == ["ang+hap:62.5/37.5", "fea"]
    assert [(clip.id, clip.fold) for clip in corpus.clips] == [("x_a", 0), ("y_a", 1)]
    assert [(remark.level, remark.message) for remark in corpus.remarks] == [
        ("warning", "1 recording(s) have no row in labels.csv and were left out: z/other.mov")
    ]


def _hume(folder: Path) -> Path:
    emotions = ["Adoration", "Amusement", "Anxiety", "Disgust", "Empathic-Pain", "Fear", "Surprise"]
    rows = [["File_ID", *emotions, "Split", "Country"]]
    for number in range(12):
        split = ("Train", "Train", "Val", "Test")[number % 4]
        values = ["" if split == "Test" else f"{(number + k) % 10 / 10}" for k in range(7)]
        rows.append([f"[{number:05d}]", *values, split, "x"])
        _touch(folder, f"mp4/{split.lower()}/{number:05d}.mp4")
    (folder / "data_info.csv").write_text("\n".join(map(",".join, rows)) + "\n")
    return folder


def test_intensities_of_hume_reaction(tmp_path: Path) -> None:
    corpus = read_corpus("hume-reaction", _hume(tmp_path))
    assert (corpus.space.task, len(corpus.space.emotions)) == ("intensities", 7)
    assert [clip.split for clip in corpus.clips].count("test") == 3
    assert all(clip.soft is None for clip in corpus.test)
    validation = [clip.id for clip in corpus.train if clip.fold == 0]
    assert validation == ["00002", "00006", "00010"]
    assert corpus.folds == (0, 1, 2, 3, 4)
    assert corpus.target(corpus.clips[1]) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert "nobody says who is seen in which clip" in corpus.remarks[0].message
    again = import_corpus(
        "hume-reaction", tmp_path, tmp_path.parent / f"{tmp_path.name}-c", log=lambda text: None
    )
    assert again.label_hash() == corpus.label_hash()


def test_labels_only_and_parquet(tmp_path: Path) -> None:
    _hume(tmp_path)
    pl.read_csv(tmp_path / "data_info.csv").write_parquet(tmp_path / "data_info.parquet")
    shutil.rmtree(tmp_path / "mp4")
    text = (
        (SHIPPED / "hume-reaction.yaml").read_text().replace("data_info.csv\npath", "data_info.parquet\npath")
    )
    (tmp_path / "card.yaml").write_text(text)
    corpus = read_corpus("hume-reaction", tmp_path, labels_only=True)
    assert (len(corpus.clips), corpus.has_media) == (12, False)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_cards_that_ship(path: Path) -> None:
    card = read_card(path)
    assert card.name == path.stem
    assert card.name in CORPORA
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 12


def test_classes_of_emotions(tmp_path: Path) -> None:
    rows = (f"{k},{('Fear', 'Tension')[k % 2]},{'test' if k > 7 else 'train'}" for k in range(10))
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,split", *rows]))
    _touch(tmp_path, *(f"any/{k}.mp4" for k in range(10)))
    corpus = read_corpus("emotions", tmp_path)
    assert (len(corpus.space.emotions), len(corpus.train), len(corpus.test)) == (6, 8, 2)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "a1,A,anger",
            "a1,A,angr",
            r"labels\.csv, line 2 must be corrected: unknown emotion 'angr': .* 'anger'",
        ),
        ("a1,A,anger", "a1,,anger", r"line 2 must be corrected: who is empty: expected who is seen"),
        ("a1,A,anger", "a1,A,", r"line 2 must be corrected: emotion is empty: expected a label"),
        (
            "a1,A,anger",
            "../a1,A,anger",
            r"line 2 must be corrected: the path '\.\./a1\.mp4' leads out of the",
        ),
        ("a1,A,anger", "/etc/a1,A,anger", r"line 2 must be corrected: the path '/etc/a1\.mp4' leads out"),
        ("a2,A,joy", "a1,A,joy", r"labels\.csv, line 3: a1\.mp4 is already on line 2; expected one row for"),
        ("a2,A,joy", "a3,A,joy", r"names clips that are not in .*: a3\.mp4 \(line 3\); copy them"),
        ("file,who", "path,who", r"lacks the column\(s\) file; it has path, who, emotion"),
    ],
)
def test_wrong_rows(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_corpus("own", _single(tmp_path, ROWS.replace(old, new)))


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ("anger,joy,70,40,0", r"line 2 must be corrected: shares must add up to 100"),
        ("anger,joy,x,30,0", r"line 2 must be corrected: p must be a number, got 'x'"),
        ("anger,joy,nan,30,0", r"line 2 must be corrected: p must be a finite number"),
        ("anger,anger,70,30,0", r"line 2 must be corrected: two different emotions were expected"),
        (",joy,,,0", r"line 2 must be corrected: two different emotions were expected"),
        ("anger,joy,70,30,-1", r"line 2 must be corrected: fold must be a number from 0, got '-1'"),
    ],
)
def test_wrong_mixtures(tmp_path: Path, cells: str, sentence: str) -> None:
    (tmp_path / "card.yaml").write_text(MIXTURE)
    (tmp_path / "labels.csv").write_text(f"file,who,first,second,p,q,fold\na.mov,A,{cells}\n")
    _touch(tmp_path, "a.mov")
    with pytest.raises(InputError, match=sentence):
        read_corpus("own", tmp_path)


def test_a_bad_row_can_be_left_out(tmp_path: Path) -> None:
    _single(tmp_path, ROWS + "c1,C,anger\n")
    (tmp_path / "exclude.yaml").write_text("- {clip: c1, reason: the recording was lost}\n")
    corpus = read_corpus("own", tmp_path)
    assert [clip.id for clip in corpus.clips] == ["a1", "a2", "b1", "b2"]
    assert [remark.message for remark in corpus.remarks] == [
        "left out: the recording was lost (exclude.yaml)"
    ]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("task: single", "task: singles", r"card\.yaml is no card of a table: task: Input should be"),
        ("label: [emotion]", "label: [emotion, other]", r"a single label needs one column in `label`"),
        ("task: single", "task: mixture", r"a mixture needs two columns in `label` and two in `shares`"),
        ("task: single", "task: intensities", r"must be the same columns of intensities"),
        ("actor: who\n", "", r"card: actor: Field required|actor: Field required"),
        ("licence", "license", r"license: Extra inputs"),
        ("name: own", "name: other", r"describes the corpus 'other', not 'own': use one name for both"),
        ("name: own", "name: [", r"is not valid YAML"),
        ("table: labels.csv", "table: ../labels.csv", r"leads out of the corpus"),
    ],
)
def test_wrong_cards(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_corpus("own", _single(tmp_path, card=SINGLE.replace(old, new)))


def test_no_card(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"card\.yaml does not exist: describe the table in a card\.yaml beside"
    ):
        read_corpus("table", tmp_path)
