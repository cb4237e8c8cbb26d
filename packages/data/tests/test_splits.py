"""Folds: no actor in two, emotion sets evenly spread, the same from the same seed; and planted leaks."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blended.data.clip import Clip, Corpus
from blended.data.errors import InputError
from blended.data.labels import LabelSpace, Mixture, SoftLabel
from blended.data.people import forbid_shared_actors
from blended.data.splits import assign_folds, read_splits, strata, stratum, with_folds, write_splits

EMOTIONS = ("ang", "hap", "sad", "neu")


def people(num_actors: int = 23, seed: int = 0) -> list[Clip]:
    """Actors with unequal numbers of clips and unequal habits."""
    random = np.random.default_rng(seed)
    clips: list[Clip] = []
    for actor in range(num_actors):
        habit = random.dirichlet(np.ones(len(EMOTIONS)))
        for emotion in random.choice(EMOTIONS, size=random.integers(5, 60), p=habit):
            name = f"c{len(clips):04d}"
            clips.append(Clip(name, Path(name), f"A{actor:02d}", mixture=Mixture.single(str(emotion))))
    return clips


def unevenness(clips: list[Clip], fold_of: dict[str, int]) -> float:
    """The plain sum that the method makes small."""
    folds = sorted({*fold_of.values()})
    total = 0.0
    for name, count in [*strata(clips).items(), ("", len(clips))]:
        expected = count / len(folds)
        for fold in folds:
            have = sum(fold_of[c.actor] == fold and name in ("", stratum(c)) for c in clips)
            total += (have - expected) ** 2 / expected
    return total


def test_every_actor_in_one_fold_and_every_fold_alike() -> None:
    clips = people()
    fold_of = assign_folds(clips, 5, seed=3)
    assert {*fold_of} == {clip.actor for clip in clips}
    assert {*fold_of.values()} == {0, 1, 2, 3, 4}
    counts = Counter(fold_of[clip.actor] for clip in clips)
    assert max(counts.values()) - min(counts.values()) < 0.1 * len(clips) / 5
    assert assign_folds(clips[::-1], 5, seed=3) == fold_of
    assert fold_of["A00"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_no_less_even_than_scikit_learn(seed: int) -> None:
    model_selection = pytest.importorskip("sklearn.model_selection")
    clips = people(seed=seed)
    actors = [clip.actor for clip in clips]
    splitter = model_selection.StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    theirs: dict[str, int] = {}
    for fold, (_, rows) in enumerate(splitter.split(actors, [stratum(c) for c in clips], actors)):
        theirs.update({actors[row]: fold for row in rows})
    assert unevenness(clips, assign_folds(clips, 5, seed)) <= unevenness(clips, theirs) + 1e-9


def test_strata_of_every_task() -> None:
    blend = Clip("a", Path("a"), "A", mixture=Mixture({"hap": 30, "ang": 70}))
    rated = Clip("b", Path("b"), "B", soft=SoftLabel(("ang", "hap"), (0.2, 0.9), "intensities"))
    nothing = Clip("c", Path("c"), "C")
    assert [stratum(clip) for clip in (blend, rated, nothing)] == ["ang+hap", "hap", "unlabelled"]
    assert strata([blend, rated, nothing]) == {"ang+hap": 1, "hap": 1}


def test_many_single_clips_are_dealt_quickly() -> None:
    clips = [replace(clip, actor=clip.id) for clip in people(60)]
    fold_of = assign_folds(clips)
    counts = Counter((fold_of[clip.actor], stratum(clip)) for clip in clips)
    for emotion in EMOTIONS:
        per_fold = [counts[fold, emotion] for fold in range(5)]
        assert max(per_fold) - min(per_fold) <= 2


def test_too_few_actors() -> None:
    with pytest.raises(InputError, match=r"5 actor-disjoint folds of 3 actor\(s\): .* ask for fewer folds"):
        assign_folds(people(3), 5)


def test_the_file(tmp_path: Path) -> None:
    clips = people(7)
    placed = with_folds(clips, assign_folds(clips, 3))
    test = Clip("t", Path("t"), "", "test")
    path = tmp_path / "splits.csv"
    write_splits([*placed, test], path)
    assert path.read_text().startswith("id,actor,split,fold\nc0000,A00,train,0\n")
    assert path.read_text().endswith("t,,test,\n")
    assert read_splits([*clips, replace(test, split="train")], path) == (*placed, test)
    # A clip that was left out since keeps its row.
    assert read_splits(clips[1:], path) == placed[1:]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("c0000,A00,train,", r"line 2: split 'train' with fold ''; expected train with a fold from 0"),
        ("c0000,A00,dev,1", r"line 2: split 'dev' with fold '1'"),
        ("c0000,A00,train,1\nc0000,A00,train,1", r"line 3: clip 'c0000' is listed twice"),
        ("c0001,A00,train,1", r"has no row for 'c0000' \(1 clips in all\): import the corpus again"),
    ],
)
def test_wrong_files(tmp_path: Path, row: str, sentence: str) -> None:
    path = tmp_path / "splits.csv"
    path.write_text(f"id,actor,split,fold\n{row}\n")
    with pytest.raises(InputError, match=sentence):
        read_splits([Clip("c0000", Path("c"), "A00")], path)


def test_planted_leaks() -> None:
    forbid_shared_actors(["A", "B", "A", ""], [0, 1, 0, "test"])
    with pytest.raises(InputError, match=r"actor 'A' is in folds 0 and 1: a model would be judged on an"):
        forbid_shared_actors(["A", "B", "A"], [0, 1, 1])
    with pytest.raises(InputError, match=r"actor 'B' is in folds train and test"):
        forbid_shared_actors(["A", "B", "B"], ["train", "train", "test"])
    with pytest.raises(InputError, match="1 actors but 2 parts"):
        forbid_shared_actors(["A"], [0, 1])


def test_a_corpus_with_a_leak_is_refused_where_it_is_asked() -> None:
    space = LabelSpace(("ang",))
    train = Clip("a", Path("a"), "A", fold=0)
    for other in (replace(train, id="b", fold=1), Clip("b", Path("b"), "A", "test")):
        with pytest.raises(
            InputError, match=r"own: actor 'A' is in folds 0 and .*; every actor must be in one"
        ):
            Corpus("own", space, (train, other)).forbid_leaks()
    Corpus("own", space, (train, Clip("b", Path("b"), "B", "test"))).forbid_leaks()


def test_labels_must_belong_to_the_task() -> None:
    blend, single = Mixture({"ang": 50, "hap": 50}), Mixture.single("ang")
    shares = SoftLabel(("ang", "hap"), (0.5, 0.5))
    strengths = SoftLabel(("ang", "hap"), (0.9, 0.8), "intensities")
    allowed = {"mixture": [(blend, None), (single, shares)], "single": [(single, None), (single, shares)],
               "intensities": [(None, strengths)]}  # fmt: skip
    refused = {"mixture": [(None, strengths)], "single": [(blend, None), (None, strengths)],
               "intensities": [(single, None), (None, shares)]}  # fmt: skip
    for task in ("mixture", "single", "intensities"):
        space = LabelSpace(("ang", "hap"), task)
        for mixture, soft in [*allowed[task], (None, None)]:
            clip = Clip("a", Path("a"), "A", fold=0, mixture=mixture, soft=soft)
            corpus = Corpus("own", space, (clip,))
            if mixture is not None or soft is not None:
                assert corpus.target(clip) == (space.target(mixture) if mixture else [0.9, 0.8])
        for mixture, soft in refused[task]:
            with pytest.raises(InputError, match=r"own: clip 'a': .*(expected|which the task asks for)"):
                Corpus("own", space, (Clip("a", Path("a"), "A", fold=0, mixture=mixture, soft=soft),))
    with pytest.raises(InputError, match="expected ang, hap in this order"):
        LabelSpace(("ang", "hap")).check_label(None, SoftLabel(("hap", "ang"), (0.5, 0.5)))
    clip = Clip("a", Path("a"), "A", fold=0, mixture=single, soft=shares)
    corpus = Corpus("own", LabelSpace(("ang", "hap"), "single"), (clip,))
    assert (corpus.target(clip), corpus.target(clip, soft=True)) == ([1.0, 0.0], [0.5, 0.5])
    with pytest.raises(InputError, match="clip 'b' has no label"):
        corpus.target(replace(clip, id="b", mixture=None, soft=None))
    assert LabelSpace(("ang", "hap")).soft(blend) == shares
