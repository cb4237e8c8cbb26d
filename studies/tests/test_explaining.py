"""What runs rely on: the planted predictor is found, for its pairs; weights are those of the models."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from blended.data import Clip, Corpus, LabelSpace
from blended.data.demo.signatures import label_space
from blended.encoders.egemaps import EGeMAPSConfig
from blended.encoders.prosody import COLUMNS
from blended.eval.estimate import Estimate
from blended.eval.evaluation import evaluate
from blended.eval.measures.blends import correctness
from blended.eval.run_record import ALL
from blended.eval.tasks import TASKS
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.sequences import pack
from blended.fusion.sources import Change
from blended.fusion.strategies import FUSIONS, fit
from blended.studies import explaining
from blended.studies.evaluating import answered, final_decision, undecided
from blended.studies.explaining import explained
from blended.studies.extras import read_extras, write_extras
from blended.studies.params import DecisionConfig
from blended.studies.predictors import Predictor, predictor_name, predictors_of
from blended.studies.trial import TrialConfig, TrialResult
from toys.problems import QUIET

BLENDED = label_space()
SINGLE = LabelSpace(
    BLENDED.emotions, task="single", states=tuple(state for state in BLENDED.states if not state.is_blend)
)
TELLING = "energy_db"
TRAINING = TrainingConfig(learning_rate=0.05, weight_decay=0.3, max_epochs=25, batch_size=72)
PREDICTORS = predictors_of({"prosody": COLUMNS}, {"prosody": 7 * len(COLUMNS)})


def corpus_of(space: LabelSpace, repeats: int) -> Corpus:
    clips = [
        Clip(f"c{fold}_{actor}_{number}", Path("none"), f"{fold}{actor}", "train", fold, mixture=state)
        for fold in range(3)
        for actor in range(2)
        for number, state in enumerate(space.states * repeats)
    ]
    return Corpus("toy", space, tuple(clips), synthetic=True)


def result_of(
    strategy: str, space: LabelSpace = BLENDED, repeats: int = 1, training: TrainingConfig = TRAINING
) -> TrialResult:
    """Six of the seven statistics of one column tell the share of one emotion each; the rest is noise."""
    corpus, rng = corpus_of(space, repeats), np.random.default_rng(0)
    targets = np.array([corpus.target(clip) for clip in corpus.train])
    prosody = rng.normal(size=(len(targets), 7 * len(COLUMNS)))
    for emotion in range(6):
        prosody[:, COLUMNS.index(TELLING) + emotion * len(COLUMNS)] = 6 * targets[:, emotion]
    values = {"prosody": prosody, "face": rng.normal(size=(len(targets), 4))}
    inputs = Inputs(
        space=space,
        targets=torch.tensor(targets, dtype=torch.float32),
        folds=np.array([clip.fold for clip in corpus.train]),
        clips=tuple(clip.id for clip in corpus.train),
        actors=tuple(clip.actor for clip in corpus.train),
        modality_of={"prosody": "audio", "face": "video"},
        features={name: torch.tensor(x, dtype=torch.float32) for name, x in values.items()},
        sequences={
            name: pack([clip[None].repeat(3, 0) for clip in x], 5.0, "cpu") for name, x in values.items()
        },
    )
    fusion = {"name": strategy, "features": ("prosody", "face"), "training": training}
    if strategy == "cross-attention":
        fusion |= {"width": 4, "heads": 2, "rate_hz": 5}
    config = TrialConfig(
        corpus="toy",
        encoders={"prosody": {}, "face": {}},
        fusion=FUSIONS[strategy].config.model_validate(fusion),
        decision=DecisionConfig(name="argmax" if space.task == "single" else "templates"),
        seed=0,
    )
    fused = fit(config.fusion, inputs, 0, QUIET)
    scores = undecided(corpus.train, fused.out_of_fold, fused.states)
    evidence, truth = scores.evidence(space), TASKS[space.task].truth(corpus.train, space)
    cross_fold = evaluate(evidence, truth, config.protocol)
    train = answered(scores, cross_fold.decided, corpus.train, space)
    decision = final_decision(evidence, truth, config.protocol)
    return TrialResult(
        config, "", corpus, "", ("audio", "video"), cross_fold, None, train, None, fused, decision, {}, ()
    )


@pytest.fixture(scope="module")
def early() -> TrialResult:
    return result_of("early", repeats=4)


def test_the_predictor_that_tells_is_found(early: TrialResult) -> None:
    extras = explained(early, PREDICTORS).extras
    assert extras.predictors is not None and extras.importance is not None
    told, *others = extras.predictors.items()
    assert told[0] == f"prosody: {TELLING}" and len(others) == len(COLUMNS) - 1
    overall = told[1][ALL]
    assert isinstance(overall, Estimate) and overall.span[0] > 0.25
    for name, by_pair in others:
        assert isinstance(cell := by_pair[ALL], Estimate) and abs(cell.value) < 0.1, name
    pairs = {f"{a}+{b}" for a, b in (sorted(s.emotions) for s in BLENDED.states if s.is_blend)}
    assert set(told[1]) == {ALL, *pairs}
    assert all(isinstance(cell, Estimate) and cell.value > 0.1 for cell in told[1].values())
    # Without the voice nothing is left that tells.
    assert early.cross_fold.measured["score"].value > 0.5
    assert extras.without["audio"][2].value < 0.2 < extras.without["video"][2].value


def test_all_columns_of_an_encoder_are_the_encoder(
    early: TrialResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "NUM_PERMUTATIONS", 1)
    whole = Predictor("prosody", "everything", tuple(range(7 * len(COLUMNS))))
    extras = explained(early, [whole]).extras
    assert extras.predictors is not None and extras.importance is not None
    assert extras.predictors["prosody: everything"] == extras.importance["prosody"]


@pytest.mark.parametrize("scores", ["emotions", "set-ratio"])
@pytest.mark.parametrize("strategy", ["early", "late"])
def test_unchanged_features_are_decided_as_in_the_run(strategy: str, scores: str) -> None:
    """Label states included, where the head gives them."""
    brief = TRAINING.model_copy(update={"max_epochs": 2, "scores": scores})
    result = result_of(strategy, training=brief)
    truth = [clip.mixture for clip in result.corpus.train if clip.mixture is not None]
    decide = explaining._Decided(result, truth, result.cross_fold.decisions)
    own = correctness(truth, result.train.decided)
    for found in (decide(), decide(Change())):
        np.testing.assert_array_equal(found.presence, own.presence)
        np.testing.assert_array_equal(found.salience, own.salience)
    assert (result.fused.states is not None) == (scores == "set-ratio")
    extras = explained(result).extras
    assert set(extras.without) == {"audio", "video"} and extras.importance is not None


def test_a_feature_set_too_many_is_left_out_whole(
    early: TrialResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(explaining.MAX_PREDICTORS, "vectors", len(COLUMNS))
    more = [Predictor("face", f"column {number}", (number,)) for number in range(4)]
    extras = explained(early, [*PREDICTORS, *more]).extras
    assert extras.predictors is not None and extras.predictors.keys() == {p.title for p in PREDICTORS}


def test_single_labels_are_told_apart_by_emotion() -> None:
    extras = explained(result_of("early", SINGLE, 4), PREDICTORS).extras
    assert extras.predictors is not None and extras.without == {}
    assert set(extras.predictors[f"prosody: {TELLING}"]) == {ALL, *SINGLE.emotions}


def test_names_of_statistics_go_together() -> None:
    names = EGeMAPSConfig.model_validate({"name": "egemaps"}).build().columns
    together = {name: [*map(predictor_name, names)].count(name) for name in map(predictor_name, names)}
    assert len(names) == 88 and len(together) == 42
    assert together["F0semitoneFrom27.5Hz"] == together["loudness"] == 10
    assert together["jitterLocal"] == 2 and together["VoicedSegmentsPerSec"] == 1
    units = predictors_of({"units": ("AU01_r", "AU12_r", "gaze_0_x", "AU12_c")}, {"units": 4})
    assert [(one.name, one.columns) for one in units] == [
        ("AU01", (0,)),
        ("AU12", (1, 3)),
        ("gaze_0_x", (2,)),
    ]
    assert predictors_of({"grid": [f"r{n}" for n in range(49)]}, {"grid": 49}) == []


def test_weights_are_those_of_the_models_and_come_back_from_disk(tmp_path: Path) -> None:
    brief = TRAINING.model_copy(update={"max_epochs": 2})
    late, gated, attending = (
        explained(result_of(name, training=brief)) for name in ("late", "gated", "cross-attention")
    )
    weights = late.extras.weights
    assert weights is not None and set(weights.shares["prosody"]) == {"fold0", "fold1", "fold2", "final"}
    for where, share in weights.shares["face"].items():
        assert share + weights.shares["prosody"][where] == pytest.approx(1, abs=1e-4)
        assert share == pytest.approx(late.fused.fitted[f"face/weight/{where}"], abs=1e-4)
    assert gated.extras.weights is not None
    rows = [r for r, clip in enumerate(gated.corpus.train) if clip.mixture and clip.mixture.name == "hap"]
    for name, by_set in gated.extras.weights.gates.items():
        assert by_set["hap"] == pytest.approx(gated.fused.gates[name][rows].mean(), abs=1e-4)
    assert attending.extras.weights is not None
    first, second = attending.extras.weights.attention
    assert (first.asking, second.asking) == ("audio", "video") and len(first.preference) == 2
    assert first.clip_id == second.clip_id and np.shape(first.example) == (3, 3)
    for number, result in enumerate((late, gated, attending)):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_extras(folder, replace(result.extras, enrolment=[]))
        assert json.loads((folder / "weights.json").read_text())
        assert read_extras(folder).weights == result.extras.weights
