"""Adding a corpus is one file with an `ADAPTER` and one line in `CORPORA`: this is all of such a file."""

import re
from pathlib import Path, PurePosixPath

import pytest

from blended.data.clip import Clip, Corpus
from blended.data.corpora import CORPORA
from blended.data.corpora.adapter import About, Adapter, Reading
from blended.data.errors import InputError
from blended.data.finding import Finding
from blended.data.importing import import_corpus
from blended.data.labels import LabelSpace, Mixture

# --- the file ---

SPACE = LabelSpace(("ang", "hap", "neu"), "single", tuple(map(Mixture.single, ("ang", "hap", "neu"))))
NAME = re.compile(r"(?P<actor>[A-Z]{2})_(?P<emotion>ang|hap|neu)\d+")


def read_corpus(reading: Reading) -> Corpus:
    """`XY_ang01.wav`: actor, emotion, number."""
    clips: list[Clip] = []
    remarks: list[Finding] = []
    for path in sorted(reading.folder.glob("*.wav")):
        if reading.excluded.drop(path.stem, path.relative_to(reading.folder)):
            continue
        match = NAME.fullmatch(path.stem)
        if match is None:
            remarks.append(
                Finding("error", path.stem, f"{path} is misnamed: rename it, or list it in exclude.yaml")
            )
        else:
            clips.append(Clip(path.stem, path, match["actor"], mixture=Mixture.single(match["emotion"])))
    if not clips:
        raise InputError(f"{reading.folder} has no clip named like XY_ang01.wav: check the folder")
    return Corpus("small", SPACE, reading.folded(clips, 3), remarks=tuple(remarks))


def place(path: PurePosixPath) -> PurePosixPath | None:
    """All clips in one folder."""
    return PurePosixPath(path.name) if path.suffix == ".wav" else None


ADAPTER = Adapter(
    read_corpus, About("A small corpus", "CC0-1.0", "Nobody (2026)"), place, "clips like XY_ang01.wav"
)

# --- the line: CORPORA["small"] = small.ADAPTER ---


def test_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CORPORA, "small", ADAPTER)
    for actor in ("AB", "CD", "EF", "GH"):
        for emotion in SPACE.emotions:
            path = tmp_path / "source" / actor / f"{actor}_{emotion}01.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (tmp_path / "source" / "odd.wav").touch()
    corpus = import_corpus("small", tmp_path / "source", tmp_path / "c", log=lambda text: None)
    assert (len(corpus.clips), corpus.folds) == (12, (0, 1, 2))
    assert [remark.clip_id for remark in corpus.remarks] == ["odd"]
