"""Intensities against scipy, plain loops over actors, and the tables that decide by task."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr

from blended.data import Clip, InputError, LabelSpace, Mixture
from blended.data.labels import SoftLabel
from blended.eval.evaluation import evaluate
from blended.eval.evidence import Evidence
from blended.eval.measures import MEASURES, measures_of, spread_of
from blended.eval.measures.agreement import agreement_by_emotion, concordance
from blended.eval.protocol import Protocol
from blended.eval.tasks import TASKS

AGREEMENT = measures_of("intensities")
NAMES = ("awe", "joy", "dread")
SPACE = LabelSpace(NAMES, "intensities")
NUM = 120
ACTORS = np.arange(NUM) % 8
FOLDS = ACTORS % 2


def toy(seed: int = 0) -> tuple[Evidence, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((NUM, 3))
    given = truth[:, None] + rng.normal(size=(NUM, 2, 3)) * (0.2, 0.5, 3.0)
    return Evidence(given, ACTORS, FOLDS, SPACE), truth


def plain(p: np.ndarray, t: np.ndarray) -> tuple[float, float]:
    correlations: list[Any] = [pearsonr(p[:, k], t[:, k])[0] for k in range(p.shape[1])]
    return float(np.mean(correlations)), float(concordance(p, t).mean())


def test_means_over_folds_are_scipys() -> None:
    evidence, truth = toy()
    found = evaluate(evidence, truth, Protocol("bayes", calibrate="vector"))
    decided = np.clip(evidence.logits.mean(axis=1), 0, 1)
    np.testing.assert_array_equal(found.decided, decided)
    by_fold = [plain(decided[fold == FOLDS], truth[fold == FOLDS]) for fold in (0, 1)]
    assert found.measured["mean_pearson"].value == pytest.approx(np.mean([one[0] for one in by_fold]))
    assert found.measured["mean_concordance"].value == pytest.approx(np.mean([one[1] for one in by_fold]))
    assert [fold.numbers["mean_pearson"] for fold in found.folds] == pytest.approx([o[0] for o in by_fold])
    assert [one.clips for one in found.folds] == [60, 60]
    low, high = found.measured["mean_pearson"].ends or (1, 1)
    assert low < found.measured["mean_pearson"].value < high
    by_emotion = agreement_by_emotion(truth, decided, ACTORS, FOLDS, NAMES)
    averages = np.mean([[e.value for e in pair] for pair in by_emotion.values()], axis=0)
    assert averages == pytest.approx(
        [found.measured["mean_pearson"].value, found.measured["mean_concordance"].value]
    )
    assert list(by_emotion) == [*NAMES]
    assert by_emotion["awe"][0].value > by_emotion["dread"][0].value


def test_no_decision_of_mixtures_is_claimed() -> None:
    found = evaluate(*toy(), Protocol("set-ratio", presence_weight=0.7, features_per_actor=True))
    assert found.protocol.label == "identity, cross-fold, features per actor, transductive"


def test_an_actors_part_is_what_counting_them_less_takes() -> None:
    """Everybody else's clips five times; scipy measures, plain arithmetic takes the leverage out."""
    evidence, truth = toy(1)
    keep = (np.arange(NUM) % 7 != 0) | (ACTORS > 2)
    decided = np.clip(evidence.logits.mean(axis=1), 0, 1)[keep]
    truth, actors, folds = truth[keep], ACTORS[keep], FOLDS[keep]
    found = spread_of(AGREEMENT, truth, decided, actors, folds)
    values = {fold: np.array(plain(decided[folds == fold], truth[folds == fold])) for fold in (0, 1)}
    for actor in range(8):
        fold = actor % 2
        others = np.flatnonzero((folds == fold) & (actors != actor))
        rows = np.concatenate([np.flatnonzero(actors == actor), *[others] * 5])
        share = (actors == actor).sum() / (folds == fold).sum()
        pull = (values[fold] - plain(decided[rows], truth[rows])) / 0.8 * (1 - 0.8 * share)
        far = pull + share * (values[fold] - (values[0] + values[1]) / 2)
        np.testing.assert_allclose(found.parts[actor], far / np.sqrt(1 - share / 2) / 2, atol=1e-9)


def test_actors_who_are_read_alike_narrow_the_interval() -> None:
    """The same clips for each of eight people, and then other ones."""
    rng = np.random.default_rng(3)
    own = rng.random((15, 3))
    truth = np.tile(own, (8, 1))
    actors = np.repeat(np.arange(8), 15)
    alike = np.clip(truth + np.tile(rng.normal(0, 0.2, (15, 3)), (8, 1)), 0, 1)
    unlike = np.clip(truth + rng.normal(0, 0.2, (120, 3)), 0, 1)
    errors = [spread_of(AGREEMENT, truth, one, actors, actors % 2).errors[0] for one in (alike, unlike)]
    assert errors[0] < 1e-12 < 1e-3 < errors[1]


def test_what_does_not_vary_correlates_with_nothing() -> None:
    _, truth = toy()
    flat = np.full_like(truth, 0.3)
    found = spread_of(AGREEMENT, truth, flat, ACTORS, FOLDS)
    assert found.values.tolist() == [0, 0]
    low, high = found.estimates[0].ends or (0, 0)
    assert low < 0 < high, "no width would be certainty"


def test_what_is_refused() -> None:
    evidence, truth = toy()
    with pytest.raises(InputError, match="got 119 labels for the scores of 120 clips"):
        evaluate(evidence, truth[1:], Protocol("thresholds"))
    with pytest.raises(
        InputError, match="normalise is 'actor', but scores standardised per actor are no int"
    ):
        evaluate(evidence, truth, Protocol("thresholds", normalise="actor"))
    with pytest.raises(InputError, match="the decision 'identity' is of intensities, not of mixtures"):
        single = Evidence(evidence.logits, ACTORS, FOLDS, LabelSpace(NAMES, "single"))
        evaluate(single, [Mixture.single("awe")] * NUM, Protocol("identity"))


def clip(mixture: Mixture | None = None, soft: SoftLabel | None = None) -> Clip:
    return Clip("A1", path=Path("none.mp4"), actor="A1", fold=0, mixture=mixture, soft=soft)


def test_labels_are_read_as_the_task_has_them() -> None:
    soft = SoftLabel(NAMES, (0.1, 0.0, 0.9), "intensities")
    assert TASKS["intensities"].truth([clip(soft=soft)], SPACE).tolist() == [[0.1, 0.0, 0.9]]
    assert TASKS["mixture"].truth([clip(Mixture.single("awe"))], SPACE) == [Mixture.single("awe")]
    for task in TASKS.values():
        with pytest.raises(InputError, match="training clip 'A1' has no label; label it or move it"):
            task.truth([clip()], SPACE)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_names_what_its_evaluation_measures(task: Any) -> None:
    """One row of the table, put to work: the headline is measured, and spread in its place."""
    rng = np.random.default_rng(2)
    states = tuple(map(Mixture.single, NAMES))
    states += (Mixture({"awe": 70, "joy": 30}),) if task == "mixture" else ()
    space = LabelSpace(NAMES, task, () if task == "intensities" else states)
    truth: Any = rng.random((NUM, 3))
    if task != "intensities":
        truth = [states[row % len(states)] for row in range(NUM)]
    evidence = Evidence(rng.random((NUM, 1, 3)), ACTORS, FOLDS, space)
    row = TASKS[task]
    found = evaluate(evidence, truth, Protocol("argmax"))
    assert row.headline in row.measures and [one.key for one in row.measures] == [*found.measured]
    assert found.measured.keys() <= MEASURES.keys()
    points = spread_of(row.measures, truth, found.decided, ACTORS, FOLDS).values
    assert points == pytest.approx([found.measured[one.key].value for one in row.measures])
    assert isinstance(found.decided, list) is row.decides
