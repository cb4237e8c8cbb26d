"""Adding a corpus, as docs/adding_a_corpus.md shows it: its code and its card are what is tested here."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from blended.data.corpora import CORPORA, read_corpus
from blended.data.errors import InputError
from blended.data.importing import import_corpus
from blended.data.labels import Mixture

PAGE = Path(__file__).parents[3] / "docs" / "adding_a_corpus.md"
MOST_LINES = 60


def _blocks(language: str) -> list[str]:
    """The code of that language on the page."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def small(tmp_path: Path) -> ModuleType:
    """The file on the page, imported."""
    file, line = _blocks("python")
    assert len(file.splitlines()) + len(line.splitlines()) < MOST_LINES
    path = tmp_path / "small.py"
    path.write_text(file)
    spec = importlib.util.spec_from_file_location("small", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for actor in ("AB", "CD", "EF", "GH"):
        for emotion in ("ang", "hap", "neu"):
            path = folder / actor / f"{actor}_{emotion}01.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return folder


def _register(small: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the line on the page, in a copy of the table."""
    monkeypatch.setattr("blended.data.corpora.CORPORA", {**CORPORA})
    exec(
        _blocks("python")[1],
        {"CORPORA": __import__("blended.data.corpora").data.corpora.CORPORA, "small": small},
    )


def test_the_file_and_the_line(
    small: ModuleType, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _register(small, monkeypatch)
    (source / "odd.wav").touch()
    corpus = import_corpus("small", source, tmp_path / "c", log=lambda text: None)
    assert (len(corpus.clips), corpus.folds, corpus.space.task) == (12, (0, 1, 2), "single")
    assert [(remark.level, remark.clip_id) for remark in corpus.remarks] == [("error", "odd")]
    (tmp_path / "c" / "exclude.yaml").write_text("- {clip: odd, reason: a slip of the pen}\n")
    assert [remark.level for remark in read_corpus("small", tmp_path / "c").remarks] == ["note"]
    (tmp_path / "none").mkdir()
    with pytest.raises(
        InputError, match=r"none has nothing of the corpus: expected clips like XY_ang01\.wav"
    ):
        import_corpus("small", tmp_path / "none", tmp_path / "d", log=lambda text: None)


def test_the_card(tmp_path: Path) -> None:
    (card,) = _blocks("yaml")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "card.yaml").write_text(card)
    rows = [
        f"{person}{k},{person},{word}"
        for person in "ABCDE"
        for k, word in enumerate(("anger", "joy", "calm"))
    ]
    (folder / "labels.csv").write_text("\n".join(["file,person,emotion", *rows]))
    for row in rows:
        (folder / f"{row.split(',')[0]}.mp4").touch()
    corpus = import_corpus("table", folder, tmp_path / "c", log=lambda text: None)
    assert (corpus.name, len(corpus.clips), corpus.folds) == ("mine", 15, (0, 1, 2, 3, 4))
    assert corpus.clips[1].mixture == Mixture.single("hap")
    assert read_corpus("mine", tmp_path / "c").label_hash() == corpus.label_hash()
