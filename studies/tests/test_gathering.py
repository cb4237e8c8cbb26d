"""Folds that lack an emotion are named, as is an emotion that no model could learn."""

from dataclasses import replace
from pathlib import Path

from blended.data import Clip, Corpus
from blended.data.demo.signatures import label_space
from blended.studies.gathering import emotions_missing

SPACE = label_space()


def corpus(left_out: dict[str, set[int]]) -> Corpus:
    """Every state in three folds, save the emotions left out of some."""
    clips = [
        Clip(f"f{fold}_{number}", Path("none"), f"actor{fold}", "train", fold, mixture=state)
        for fold in range(3)
        for number, state in enumerate(SPACE.states)
        if not any(fold in left_out.get(emotion, ()) for emotion in state.emotions)
    ]
    return Corpus("toy", SPACE, tuple(clips))


def test_a_fold_without_an_emotion_is_named() -> None:
    assert emotions_missing(corpus({})) == []
    assert emotions_missing(corpus({"neu": {1}, "hap": {2}})) == [
        "fold 2 without any clip of 'hap': scores there say nothing about it",
        "fold 1 without any clip of 'neu': scores there say nothing about it",
    ]


def test_an_emotion_that_one_fold_alone_has_is_named() -> None:
    (sentence,) = emotions_missing(corpus({"neu": {0, 1}}))
    assert sentence.startswith("only fold 2 has clips of 'neu': no model that judges them was trained on any")


def test_an_emotion_that_no_clip_has_is_nobodys_business() -> None:
    nobody = corpus({"neu": {0, 1, 2}})
    assert emotions_missing(nobody) == []
    unlabelled = tuple(replace(clip, mixture=None) for clip in nobody.clips)
    assert emotions_missing(replace(nobody, clips=unlabelled)) == []
