"""The data card: the counts of a small corpus, no picture of people unless asked for, nothing but itself."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from blended.data import Clip, Corpus, InputError, LabelSpace, Mixture, SoftLabel
from blended.data.clip import Finding
from blended.data.corpora import about, read_corpus
from blended.data.findings import check
from blended.data.index import Index, build_index
from blended.eval.card import DataCard, card_html, card_markdown, examples
from blended.eval.card.content import card_tables
from blended.eval.report.formats import DASH
from toys.clips import toy_corpus


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = toy_corpus(tmp_path_factory.mktemp("toys"), seconds=0.2)
    return build_index(read_corpus("demo", folder), folder / ".cache", folder=folder)


def _card(index: Index, *, show_people: bool = False) -> DataCard:
    shown = examples(index, show_people=show_people, count=3)
    return DataCard(index, tuple(check(index)), about("demo", index.folder), shown, show_people)


def test_a_synthetic_corpus(index: Index) -> None:
    card = _card(index)
    assert [example.caption for example in card.examples] == ["ang", "disg", "fea"]
    assert len({example.clip_id[:4] for example in card.examples}) == 3
    html = card_html(card)
    assert html == card_html(_card(index))
    assert "This corpus is synthetic" in html and "held out" in html
    assert html.count("data:image/png;base64,") == 3
    assert html.count("<svg") == 3 + 3
    assert "<script" not in html and not re.search(r'(src|href)="(?!data:)', html)
    markdown = card_markdown(card)
    assert f"| ang+disg | {DASH} | {DASH} | {DASH} | 5 | 5 |" in markdown
    assert "| fold 0 | 10 | 1 | 10 |" in markdown
    assert f"| test | 10 | {DASH} | {DASH} |" in markdown
    assert "**Clips:** 50 labelled, of 5 actors in 5 folds; 10 held out" in markdown


def test_people_are_shown_only_if_asked_for(index: Index) -> None:
    people = replace(index, corpus=replace(index.corpus, synthetic=False))
    assert examples(people) == ()
    html = card_html(_card(people))
    assert "pictures and sounds of theirs are not shown" in html
    assert "data:image/png" not in html and html.count("<svg") == 3
    with pytest.raises(
        InputError, match="show identifiable people; a card is passed on, so they need --show-people"
    ):
        DataCard(people, (), about("demo", index.folder), examples(index, count=1))
    assert "data:image/png" in card_html(_card(people, show_people=True))


def _unseen(tmp_path: Path, space: LabelSpace, *labels: tuple[Mixture | None, SoftLabel | None]) -> Index:
    clips = tuple(
        Clip(f"c{k}", tmp_path / f"c{k}.mp4", f"A{k}", fold=k, mixture=mixture, soft=soft)
        for k, (mixture, soft) in enumerate(labels)
    )
    return build_index(Corpus("own", space, clips, has_media=False), tmp_path / "cache")


def test_raters_and_intensities(tmp_path: Path) -> None:
    names = ("ang", "hap")
    soft = SoftLabel(names, (0.25, 0.75))
    index = _unseen(tmp_path, LabelSpace(names, "single"), (Mixture.single("hap"), soft))
    made = card_tables(DataCard(index, (), about("ravdess", tmp_path)))
    assert made["labels"].rows == (("ang", 0, None), ("hap", 1, 0.75))
    assert "media" not in made and "measures" not in made
    strengths = SoftLabel(names, (0.5, 0.0), "intensities")
    index = _unseen(tmp_path, LabelSpace(names, "intensities"), (None, strengths), (None, strengths))
    card = DataCard(index, (), about("ravdess", tmp_path))
    assert card_tables(card)["labels"].rows == (("ang", 0.5, 0.0, 2), ("hap", 0.0, 0.0, 0))
    assert "labels only" in card_html(card)


def test_findings_are_text(index: Index) -> None:
    card = DataCard(index, (Finding("error", "a<b>", "<img src=x> | [l](m)"),), about("demo", index.folder))
    assert "<img src=x>" not in card_html(card)
    assert "| <img" not in card_markdown(card)
