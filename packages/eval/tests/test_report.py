"""The page: self-contained, complete, honest about rendered clips, and the same every time."""

import csv
import io
import itertools
import random
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from blended.data import Clip, Corpus, InputError, LabelSpace, Mixture
from blended.eval.evaluation import Evaluation, measure
from blended.eval.evidence import Evidence
from blended.eval.protocol import Protocol
from blended.eval.report import (
    CorpusFacts,
    ExampleFrame,
    Provenance,
    Report,
    UnreadableClip,
    clip_results,
    corpus_facts,
    render_html,
    render_markdown,
    report_figures,
    report_tables,
    to_csv,
    to_latex,
    worst_and_best,
)
from blended.eval.run_record import RunRecord

BANNER = "Rendered clips. These numbers say nothing about people."
EMOTIONS = ("ang", "hap", "neu")
SHARES = ((50, 50), (70, 30), (30, 70))
SPACE = LabelSpace(
    EMOTIONS,
    "mixture",
    (*map(Mixture.single, EMOTIONS), *(Mixture({"ang": p, "hap": q}) for p, q in SHARES)),
)
TRUTH = list(SPACE.states) * 12
NUM = len(TRUTH)
ACTORS = np.array([f"A{row // 6}" for row in range(NUM)])
FOLDS = np.array([row // 6 % 3 for row in range(NUM)], dtype=np.int64)
NASTY = "<b>late</b>&co"
ONE_PIXEL = b"\x89PNG\r\n\x1a\n"


def evidence_of(actors: np.ndarray, folds: np.ndarray) -> Evidence:
    """Of clips whose scores do not matter."""
    numbers = np.unique(actors, return_inverse=True)[1]
    return Evidence(np.zeros((len(actors), 1, len(SPACE.emotions))), numbers, folds, SPACE)


def evaluation(name: str, skill: float, tune: str = "cross-fold") -> Evaluation:
    rng = random.Random(name)
    decided = [true if rng.random() < skill else rng.choice(SPACE.states) for true in TRUTH]
    evidence = evidence_of(ACTORS, FOLDS)
    return measure(evidence, TRUTH, decided, Protocol("thresholds", tune=tune))


def make_run(name: str, skill: float, modalities: tuple[str, ...]) -> RunRecord:
    across = evaluation(name, skill)
    ids = tuple(f"clip_{row}" for row in range(NUM))
    run = RunRecord(name, "linear", ("logmel",), modalities, TRUTH, ids, ACTORS, FOLDS, across)
    if not modalities:
        return run
    inside = evaluation(name, skill + 0.05, "in-fold")
    return replace(run, in_fold=inside, test=across.measured, run_id=f"id-{name}")


RUNS = (
    make_run("one-audio", 0.3, ("audio",)),
    make_run("one-video", 0.2, ("video",)),
    make_run(NASTY, 0.8, ("audio", "video")),
    make_run("late-twin", 0.8, ("audio", "video")),
    make_run("most-frequent-blend", 0.0, ()),
)
FACTS = CorpusFacts("demo", "0123456789abcdef", True, NUM, 36, 12, 3, 8)
PROBABILITIES = np.random.default_rng(0).dirichlet(np.ones(len(EMOTIONS)), NUM)
REPORT = Report(
    title="All <runs>",
    corpus=FACTS,
    space=SPACE,
    records=RUNS,
    provenance=Provenance("59a3fa3", "make repro && date +%F", {"numpy": "2"}, "today"),
    training_protocol="The epoch was chosen on an inner fold.",
    ceilings={"face_and_voice": {"presence_accuracy": 0.9, "salience_accuracy": 0.8, "score": 0.85}},
    unreadable=(UnreadableClip("A1_<x>", "no video stream"),),
    findings=("Actor A7 has 6 clips.",),
    frames=(ExampleFrame(ONE_PIXEL, "A1, anger"),),
    probabilities={"late-twin": PROBABILITIES, NASTY: PROBABILITIES},
    emotion_names={"ang": "anger"},
)
REAL = replace(REPORT, corpus=replace(FACTS, name="blemore", synthetic=False), frames=())


class Addresses(HTMLParser):
    """Collects what a browser would follow or fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        for key, value in attrs:
            if key in ("src", "srcset", "action", "data") or (key == "href" and tag != "a"):
                self.fetched.append(value or "")
            elif key == "href":
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    return render_html(REPORT)


@pytest.fixture(scope="module")
def real_page() -> str:
    return render_html(REAL)


def test_page_is_well_formed_and_asks_for_nothing(page: str) -> None:
    found = Addresses()
    found.feed(page)
    assert found.open == []
    assert found.fetched
    assert all(address.startswith("data:") for address in found.fetched)
    outside = [link for link in found.links if not link.startswith("data:")]
    assert outside == ["https://arxiv.org/abs/2601.13225"]
    assert not {"script", "iframe", "object"} & set(found.tags)
    assert "@import" not in page
    assert "url(" not in page


def test_page_has_every_run_and_escapes_names(page: str) -> None:
    for run in RUNS:
        assert run.name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in page
    assert NASTY not in page
    assert "<runs>" not in page
    assert "A1_<x>" not in page
    assert "make repro &amp;&amp; date +%F" in page
    for text in (
        "59a3fa3",
        "0123456789ab",
        "id-one-audio",
        "no video stream",
        "Actor A7 has 6 clips.",
        "ang anger",
    ):
        assert text in page
    for run in RUNS:
        assert f"{run.score:.3f}" in page


def test_banner_only_for_rendered_clips(page: str, real_page: str) -> None:
    assert BANNER in page
    assert BANNER in render_markdown(REPORT)
    assert BANNER in to_latex(report_tables(REPORT)["runs"])
    for text in (real_page, render_markdown(REAL), to_latex(report_tables(REAL)["runs"])):
        assert "Rendered" not in text
        assert "synthetic" not in text


def test_headline_names_no_winner_inside_the_noise(page: str) -> None:
    assert "has the highest cross-fold score" in page
    assert "is the best run" not in page
    alone = render_markdown(replace(REPORT, records=(RUNS[0], RUNS[2], RUNS[4])))
    assert "is the best run" in alone
    assert "more than noise" in alone
    nothing = render_markdown(replace(REPORT, records=(make_run("dull", 0.0, ("audio",)), RUNS[4])))
    assert "nothing has been shown to be learned" in nothing


def test_same_inputs_give_the_same_page(page: str) -> None:
    assert render_html(REPORT) == page
    shuffled = replace(REPORT, records=RUNS[::-1])
    assert render_markdown(shuffled) == render_markdown(REPORT)


def test_markdown_table_has_a_line_per_run() -> None:
    lines = [line for line in render_markdown(REPORT).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 4
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert r"\<b\>late\</b\>&co" in render_markdown(REPORT)


def test_csv_has_full_precision_and_latex_compiles_in_its_braces() -> None:
    tables = report_tables(REPORT)
    assert set(tables) == {
        "runs", "differences", "confusion", "pairs", "shares", "actors", "references", "unreadable", "clips",
        "reliability", "quality", "emotions", "by_share",
    }  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(to_csv(tables["runs"]))))
    assert {row["run"] for row in rows} == {run.name for run in RUNS if run.modalities}
    by_name = {run.name: run for run in RUNS}
    for row in rows:
        estimate = by_name[row["run"]].headline
        assert [float(row[key]) for key in ("score", "score_low", "score_high")] == [
            estimate.value, estimate.low, estimate.high,
        ]  # fmt: skip
        assert row["corpus"] == "demo (synthetic)"
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    for table in tables.values():
        latex = to_latex(table)
        assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
        body = latex.split(r"\midrule")[1]
        widths = {line.replace(r"\&", "").count("&") for line in body.splitlines() if line.endswith(r"\\")}
        assert len(widths) <= 1


def test_shares_and_confusion_tables_count_every_clip() -> None:
    tables = report_tables(REPORT)
    confusion = list(itertools.chain.from_iterable(row[1:] for row in tables["confusion"].rows))
    assert sum(cell for cell in confusion if isinstance(cell, int)) == NUM
    blends = sum(mixture.is_blend for mixture in TRUTH)
    assert sum(row[-1] for row in tables["shares"].rows if isinstance(row[-1], int)) == blends


def test_figures_say_that_clips_are_rendered() -> None:
    for figure in report_figures(REPORT).values():
        assert "rendered clips" in [text.get_text() for text in figure.texts]
    for name, figure in report_figures(REAL).items():
        assert "rendered clips" not in [text.get_text() for text in figure.texts], name


def test_a_corpus_without_blends_and_a_single_run() -> None:
    single = LabelSpace(EMOTIONS, "single", tuple(map(Mixture.single, EMOTIONS)))
    rows = [row for row in range(NUM) if not TRUTH[row].is_blend]
    truth = [TRUTH[row] for row in rows]
    actors, folds = ACTORS[rows], FOLDS[rows]
    perfect = measure(evidence_of(actors, folds), truth, truth, Protocol("thresholds"))
    ids = tuple(f"clip_{row}" for row in rows)
    run = RunRecord("only", "linear", ("clip",), ("video",), truth, ids, actors, folds, perfect)
    bare = replace(REAL, space=single, records=(run,), ceilings={}, unreadable=())
    given = replace(bare, probabilities={"only": PROBABILITIES[rows]})
    assert "reliability" in report_figures(given)
    assert "ternary" not in report_figures(given)
    text = render_html(given)
    assert "The only run, only, reaches" in text
    assert "There is no multimodal run" in text
    assert "Salience, pair by pair" not in text
    assert "Every clip could be read." in text


def test_pictures_of_people_are_refused() -> None:
    with pytest.raises(InputError, match=r"example frames were given for 'blemore', which shows real people"):
        replace(REAL, frames=REPORT.frames)
    with pytest.raises(InputError, match=r"the example frame 'x' is not a PNG"):
        replace(REPORT, frames=(ExampleFrame(b"GIF89a", "x"),))


def test_corpus_facts_count() -> None:
    clips = [
        Clip("a", path=Path("none.mp4"), actor="A1", fold=0, mixture=Mixture.single("ang")),
        Clip("b", path=Path("none.mp4"), actor="A2", fold=1, mixture=Mixture({"ang": 50, "hap": 50})),
        Clip("c", path=Path("none.mp4"), actor="", split="test"),
    ]
    corpus = Corpus("toy", SPACE, tuple(clips))
    assert corpus_facts(corpus) == CorpusFacts("toy", corpus.label_hash(), False, 2, 1, 2, 2, 1)


def test_published_numbers_only_beside_real_runs_of_their_corpus(page: str, real_page: str) -> None:
    assert "VideoMAEv2 + HuBERT" in real_page
    assert "ours, in-fold" in real_page
    assert "VideoMAEv2 + HuBERT" not in page
    assert "Published numbers of BLEMORE are left out on purpose" in page
    assert "left out on purpose" not in real_page
    elsewhere = render_html(replace(REAL, corpus=replace(FACTS, name="other", synthetic=False)))
    assert "VideoMAEv2 + HuBERT" not in elsewhere
    assert "published" not in report_tables(REPORT)
    pretended = replace(REPORT, corpus=replace(FACTS, name="blemore"))
    assert "published" not in report_tables(pretended)


def test_published_table_has_spreads_and_our_intervals() -> None:
    table = report_tables(REAL)["published"]
    rows = {row["system"]: row for row in csv.DictReader(io.StringIO(to_csv(table)))}
    theirs = rows["CLIP"]
    assert [theirs[f"val_presence{end}"] for end in ("", "_low", "_std")] == ["0.266", "", "0.021"]
    assert theirs["source"] == "arXiv 2601.13225"
    top = max((run for run in RUNS if run.modalities), key=lambda run: run.score)
    ours = rows[top.name]
    assert float(ours["val_presence"]) == top.estimates[0].value
    assert ours["val_presence_low"]
    assert ours["val_presence_std"] == ""
    assert r"0.266 $\pm$ 0.021" in to_latex(table)


def test_a_transductive_top_run_stands_beside_the_best_that_is_not() -> None:
    run = RUNS[3]
    protocol = Protocol("thresholds", features_per_actor=True)
    top = replace(
        run, name="over-actors", cross_fold=replace(run.cross_fold, protocol=protocol), in_fold=None
    )
    table = report_tables(replace(REAL, records=(top, RUNS[0], RUNS[4])))["published"]
    assert [row[0] for row in table.rows[:3]] == ["over-actors", "one-audio", "one-audio, thresholds"]
    assert str(table.rows[0][7]).endswith("transductive")


def test_clips_are_measured_as_loops_measure_them() -> None:
    results = clip_results(RUNS[0], PROBABILITIES, SPACE)
    for row, one in enumerate(results):
        shares = dict(TRUTH[row].shares)
        given: dict[str, float] = dict(zip(EMOTIONS, PROBABILITIES[row].tolist(), strict=True))
        overlap = sum(min(given[name], shares.get(name, 0) / 100) for name in EMOTIONS)
        assert one.overlap == pytest.approx(overlap)
        assert one.true_emotions == pytest.approx(sum(given[name] for name in shares))
    worst, best = worst_and_best(results, 4)
    assert not {one.clip_id for one in worst} & {one.clip_id for one in best}
    values = sorted(one.overlap for one in results)
    assert [one.overlap for one in worst] == values[:4]
    assert [one.overlap for one in best] == values[:-5:-1]
    assert [len(some) for some in worst_and_best(results[:3])] == [1, 1]
    with pytest.raises(InputError, match=r"probabilities are of shape \(72, 2\), expected \(72, 3\)"):
        clip_results(RUNS[0], PROBABILITIES[:, :2], SPACE)


def test_clips_have_pictures_only_if_rendered(page: str, real_page: str) -> None:
    clip_id = worst_and_best(clip_results(RUNS[2], PROBABILITIES, SPACE))[0][0].clip_id
    assert f"A frame of {clip_id}" not in page
    pictured = render_html(replace(REPORT, clip_pictures={clip_id: ONE_PIXEL}))
    assert f"A frame of {clip_id}" in pictured
    assert clip_id in real_page
    with pytest.raises(InputError, match=r"frames were given for 'blemore', which shows real people"):
        replace(REAL, clip_pictures={clip_id: ONE_PIXEL})
    with pytest.raises(InputError, match=r"the example frame 'c' is not a PNG"):
        replace(REPORT, clip_pictures={"c": b"GIF89a"})


def test_without_probabilities_nothing_is_said_of_them() -> None:
    bare = replace(REPORT, probabilities={})
    assert not {"ternary", "reliability"} & set(report_figures(bare))
    assert not {"clips", "reliability"} & set(report_tables(bare))
    assert "worst and best" not in render_html(bare)


def test_many_findings_are_folded(page: str) -> None:
    many = render_html(replace(REPORT, findings=tuple(f"Finding {number}." for number in range(40))))
    assert "<summary>34 more findings</summary>" in many
    assert all(f"<li>Finding {number}.</li>" in many for number in range(40))
    assert "<details>" not in page
