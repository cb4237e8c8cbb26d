"""What a run asks to know of a person."""

from pathlib import Path

import pytest

from blended.data import InputError
from blended.fusion.strategies import EarlyConfig
from blended.studies.enrolment import Enrolment, check_enrolment, enrol, enrolment_notes, min_clips
from blended.studies.params import DecisionConfig
from blended.studies.pipeline import PipelineRecord
from blended.studies.trial import TrialConfig


def record(*, features: bool = False, scores: bool = False) -> PipelineRecord:
    """Of a run that standardises features or scores per actor, as far as it matters here."""
    config = TrialConfig(
        corpus="demo",
        encoders={},
        fusion=EarlyConfig(features=("logmel",), standardise="actor" if features else "training"),
        decision=DecisionConfig(normalise="actor" if scores else "none"),
        seed=0,
    )
    return PipelineRecord.model_construct(recipe="mine", config=config, clips_per_actor=40.0)


def clips(count: int) -> Enrolment:
    return Enrolment(tuple(Path(f"{number}.mp4") for number in range(count)), {})


def test_standardised_features_need_eight_clips_and_normalised_scores_none() -> None:
    assert min_clips(record(features=True)) == min_clips(record(features=True, scores=True)) == 8
    assert min_clips(record(scores=True)) == min_clips(record()) == 0
    check_enrolment(record(scores=True), given=False)
    check_enrolment(record(features=True), given=True)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="name a folder of at least 8 of them, unlabelled"):
        check_enrolment(record(features=True), given=False)
    with pytest.raises(InputError, match="judges every clip by itself"):
        check_enrolment(record(), given=True)
    with pytest.raises(InputError, match="1 clips to enrol a person from, expected at least 8"):
        enrol([Path("one.mp4")], lambda _: {}, 8)


def test_what_is_said() -> None:
    assert enrolment_notes(record(), None) == []
    assert enrolment_notes(record(scores=True), None)[0].startswith("judged like anybody")
    assert enrolment_notes(record(scores=True), clips(1)) == ["enrolled from 1 clip; 16 or more are better"]
    assert enrolment_notes(record(features=True), clips(16)) == []
