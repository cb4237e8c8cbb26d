"""The page for other tasks than blends, and the parts that not every run has."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from blended.data import InputError, LabelSpace, Mixture
from blended.eval.comparison import compare
from blended.eval.enrolment_curve import EnrolmentPoint
from blended.eval.estimate import Estimate
from blended.eval.evaluation import evaluate
from blended.eval.evidence import Evidence
from blended.eval.protocol import Protocol
from blended.eval.report import (
    CorpusFacts,
    Provenance,
    Report,
    render_html,
    render_markdown,
    report_figures,
    report_tables,
    to_csv,
    to_latex,
)
from blended.eval.run_record import ALL, RunRecord, Weights
from blended.eval.tasks import TASKS

NUM = 96
ACTORS = np.arange(NUM) % 8
FOLDS = ACTORS % 2
NAMES = ("ang", "hap", "sad")
PAIR = (Mixture({"ang": 50, "hap": 50}), Mixture({"ang": 70, "hap": 30}))


def made(task: str) -> Report:
    """Two runs, one better, of any task."""
    rng = np.random.default_rng(0)
    singles = tuple(map(Mixture.single, NAMES))
    states = {"single": singles, "mixture": (*singles, *PAIR), "intensities": ()}[task]
    space = LabelSpace(NAMES, task, states)  # pyright: ignore[reportArgumentType]
    truth = rng.random((NUM, 3)) if not states else [states[row % len(states)] for row in range(NUM)]
    targets = truth if isinstance(truth, np.ndarray) else np.array([space.target(one) for one in truth])
    records, probabilities = [], {}
    for name, noise, modalities in (("good", 0.2, ("audio", "video")), ("poor", 2.0, ("audio",))):
        given = targets + rng.normal(size=(NUM, 3)) * noise
        evidence = Evidence(given[:, None] * (1 if not states else 6), ACTORS, FOLDS, space)
        protocol = Protocol("argmax" if task == "single" else "templates")
        found = evaluate(evidence, truth, protocol)
        ids = tuple(f"clip_{row}" for row in range(NUM))
        run = RunRecord(
            name, "linear", ("logmel",), modalities, truth, ids, ACTORS, FOLDS, found, task=space.task
        )  # fmt: skip
        if task == "mixture":
            inside = evaluate(evidence, truth, Protocol("thresholds", tune="in-fold"))  # pyright: ignore[reportArgumentType]
            run = replace(run, in_fold=inside, thresholds=evaluate(evidence, truth, Protocol("thresholds")))  # pyright: ignore[reportArgumentType]
        records.append(run)
        if states:
            probabilities[name] = evidence.probabilities()[:, 0]
    facts = CorpusFacts("toy", "0123456789abcdef", False, NUM, 0, 8, 2)
    return Report(
        "Toy", facts, space, tuple(records), Provenance("abc", "make repro"), "Epochs: inner folds.",
        probabilities=probabilities,
    )  # fmt: skip


def rows_of(report: Report, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(report_tables(report)[name]))))


@pytest.mark.parametrize(
    ("task", "columns"), [("single", ("uar", "war")), ("intensities", ("pearson", "ccc"))]
)
def test_runs_are_measured_as_their_task_asks(task: str, columns: tuple[str, str]) -> None:
    report = made(task)
    page = render_html(report)
    first, second = rows_of(report, "runs")
    assert (first["run"], second["run"]) == ("good", "poor")
    for row, record in zip((first, second), report.records, strict=True):
        for column, estimate in zip(columns, record.estimates, strict=True):
            found = [float(row[f"{column}{end}"]) for end in ("", "_low", "_high")]
            assert found == [estimate.value, estimate.low, estimate.high]
            assert f"{estimate.value:.3f}" in page
    assert not {"score", "presence", "gap", "test_score"} & first.keys()
    words = TASKS[report.space.task].headline.words
    assert f"best run, with a cross-fold {words} of" in page and words in render_markdown(report)
    for text in ("Challenge score", "In-fold", "in-fold", "Salience"):
        assert text not in page, text
    for table in report_tables(report).values():
        assert to_latex(table).count(r"\begin{tabular}") == 1


def test_singles_have_confusion_and_no_pairs() -> None:
    assert {"confusion", "actors", "reliability", "forest"} == report_figures(made("single")).keys()
    assert rows_of(made("single"), "emotions")[0].keys() == {
        "emotion", "clips_with_it", "precision", "recall", "f1",
    }  # fmt: skip


def test_intensities_have_agreement_and_nothing_of_mixtures() -> None:
    report = made("intensities")
    assert report_figures(report).keys() == {"forest", "agreement"}
    page = render_html(report)
    assert "Emotion by emotion" in page and "What is taken for what" not in page
    assert [row["emotion"] for row in rows_of(report, "emotions")] == [*NAMES]


def test_runs_of_two_tasks_are_not_compared() -> None:
    with pytest.raises(InputError, match="of the tasks 'single' and 'intensities'; only runs of one"):
        compare(made("single").records[0], made("intensities").records[0])


def test_in_fold_is_called_optimistic_and_its_gap_is_that_of_thresholds() -> None:
    """The runs decide by templates: the gap must not mix decisions."""
    report = made("mixture")
    run = report.records[0]
    assert run.in_fold and run.thresholds
    gap = run.in_fold.measured["score"].value - run.thresholds.measured["score"].value
    assert run.gap == gap != run.in_fold.measured["score"].value - run.score
    row = rows_of(report, "runs")[0]
    assert float(row["in_fold,_optimistic"]) == run.in_fold.measured["score"].value
    assert float(row["gap"]) == gap
    page = render_html(report)
    assert "They are optimistic: here that adds" in page
    for place in (at for at in range(len(page)) if page.startswith("In-fold", at)):
        assert "ptimistic" in page[place : place + 160], page[place : place + 160]


def test_breakdown_and_quality_of_all_runs() -> None:
    report = replace(made("mixture"), groups={"intensity level": ["one", "two"] * (NUM // 2)})
    assert [row["run"] for row in rows_of(report, "quality")] == ["good", "poor"]
    assert sum(int(row["clips"]) for row in rows_of(report, "by_intensity_level")) == NUM
    assert {row["shares"] for row in rows_of(report, "by_share")} == {"50/50", "70/30"}
    page = render_html(report)
    assert "Clips by intensity level, good." in page and "Given presence" in page


def test_parts_that_not_every_run_has_are_shown_when_they_are_there() -> None:
    plain = made("mixture")
    page = render_html(plain)
    for words in ("What it relies on", "How many clips of a person are needed", "With a modality left out"):
        assert words not in page
    estimate = Estimate(0.21, 0.18, 0.24)
    curve = [EnrolmentPoint("none", "", 1, estimate, Estimate(0.0, 0.0, 0.0))]
    curve += [EnrolmentPoint("4", way, 2, estimate, Estimate(-0.1, -0.2, 0.0)) for way in ("any", "few sets")]
    curve += [EnrolmentPoint("all", "", 1, estimate, Estimate(0.1, 0.0, 0.2))]
    full = replace(
        plain,
        enrolment={"poor": curve},
        importance={"good": {"face": {"ang+hap": Estimate(0.0512, 0.01, 0.09)}}},
        without={"good": {"audio": (Estimate(0.31, 0.3, 0.32), Estimate(0.11, 0.1, 0.12), estimate)}},
        predictors={"good": {"units: AU12": {ALL: estimate, "ang+hap": Estimate(0.4, 0.3, 0.5)}}},
        weights={"poor": Weights(gates={"face": {"ang": 0.25}, "voice": {"ang": 0.75}})},
    )
    page = render_html(full)
    for words in ("What it relies on", "poor is normalised per actor and so transductive", "Without"):
        assert words in page
    for words in (
        "Predictors with a name",
        "What fusion weighs",
        "poor: what the gate counts",
    ):
        assert words in page
    assert {"importance", "enrolment", "predictors", "gates"} <= report_figures(full).keys()
    assert float(rows_of(full, "gates")[0]["voice"]) == 0.75
    (told,) = rows_of(full, "predictors")
    assert (told["predictor"], told["most_for"], float(told["there"])) == ("units: AU12", "ang+hap", 0.4)
    (line,) = rows_of(full, "without")
    assert (line["run"], line["without"], float(line["presence"])) == ("good", "audio", 0.31)
    assert [row["clips"] for row in rows_of(full, "enrolment")] == ["none", "4", "4", "all"]
    assert float(rows_of(full, "importance")[0]["face_low"]) == 0.01


def test_people_are_shown_only_when_asked_for() -> None:
    report = made("mixture")
    pixel = b"\x89PNG\r\n\x1a\n"
    with pytest.raises(InputError, match="leave them out, or ask for them with --show-people"):
        replace(report, clip_pictures={"clip_0": pixel})
    assert replace(report, clip_pictures={"clip_0": pixel}, show_people=True).show_people
