"""Strict nesting end to end: labels of a fold change neither its probabilities nor what is decided there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from blended.data import Clip, Corpus
from blended.eval.evaluation import evaluate
from blended.eval.protocol import Protocol
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.pairs import Nesting
from blended.fusion.strategies import Fused, fit
from blended.studies.evaluating import fitted_on, undecided
from blended.studies.params import DecisionConfig
from blended.studies.search.evaluation import Trained, TrainingStore
from blended.studies.trial import TrialConfig
from toys.problems import OF_FEATURES, QUIET, TOY_SPACE, quiet, toy_config, toy_inputs

FOLD = 2
TRAINING = TrainingConfig(learning_rate=0.05, max_epochs=4, batch_size=24)
STRATEGIES: dict[str, Any] = {name: toy_config(name, TRAINING) for name in OF_FEATURES} | {
    "stacking": toy_config("late", TRAINING, weights="stacking"),
    "set-ratio, seeds, rates": toy_config(
        "late",
        TRAINING.model_copy(update={"scores": "set-ratio", "seeds": 2, "learning_rate": (0.05, 0.01)}),
    ),
    "final: folds": toy_config("early", TRAINING.model_copy(update={"final": "folds", "patience": 1})),
}
PROTOCOLS = (
    Protocol("thresholds"),
    Protocol("bayes"),
    Protocol("set-ratio", "actor"),
    Protocol("templates", "actor", enrol_clips=3),
    Protocol("thresholds", calibrate="vector"),
)


def inputs_of(nesting: Nesting, *, relabelled: bool = False) -> Inputs:
    given = replace(toy_inputs(per_fold=21, noise=2.0), nesting=nesting)
    if not relabelled:
        return given
    targets = given.targets.clone()
    rows = torch.as_tensor(np.flatnonzero(given.folds == FOLD))
    targets[rows] = targets[rows[torch.from_numpy(np.random.default_rng(0).permutation(len(rows)))]]
    return replace(given, targets=targets)


def corpus_of(given: Inputs) -> Corpus:
    states = {tuple(TOY_SPACE.target(state)): state for state in TOY_SPACE.states}
    clips = [
        Clip(
            f"c{row}",
            Path("none"),
            given.actors[row],
            "train",
            int(given.folds[row]),
            mixture=min(states.items(), key=lambda one: np.abs(np.array(one[0]) - target).sum())[1],
        )
        for row, target in enumerate(given.targets.double().numpy())
    ]
    return Corpus("toy", TOY_SPACE, tuple(clips), synthetic=True)


def decided(fused: Fused, corpus: Corpus, protocol: Protocol) -> list[Any]:
    evidence = undecided(corpus.train, fused.out_of_fold, fused.states).evidence(corpus.space)
    truth = [clip.mixture for clip in corpus.train if clip.mixture is not None]
    found = evaluate(evidence, truth, protocol, fitted_on=fitted_on(corpus, fused))
    rows = [row for row, clip in enumerate(corpus.train) if clip.fold == FOLD]
    return [found.decided[row] for row in rows]


@pytest.mark.parametrize("name", STRATEGIES)
def test_labels_of_a_fold_change_nothing_that_is_decided_there(name: str) -> None:
    given = [inputs_of("strict", relabelled=changed) for changed in (False, True)]
    before, after = (fit(STRATEGIES[name], one, 0, QUIET) for one in given)
    corpora = [corpus_of(one) for one in given]
    assert [clip.mixture for clip in corpora[0].train] != [clip.mixture for clip in corpora[1].train]
    own = given[0].folds == FOLD
    np.testing.assert_allclose(before.out_of_fold[own], after.out_of_fold[own], atol=1e-6)
    for protocol in PROTOCOLS:
        both = [decided(*pair, protocol) for pair in zip((before, after), corpora, strict=True)]
        assert both[0] == both[1], protocol.label


def test_under_plain_nesting_they_do_change_what_is_decided() -> None:
    """Planted leak: the probabilities stay, and the decision has heard of the labels."""
    given = [inputs_of("plain", relabelled=changed) for changed in (False, True)]
    before, after = (fit(STRATEGIES["early"], one, 0, QUIET) for one in given)
    own = given[0].folds == FOLD
    np.testing.assert_allclose(before.out_of_fold[own], after.out_of_fold[own], atol=1e-6)
    moved = 0
    for protocol in PROTOCOLS:
        both = [
            decided(fused, corpus_of(one), protocol)
            for fused, one in zip((before, after), given, strict=True)
        ]
        moved += both[0] != both[1]
    assert moved


def test_a_stored_training_decides_as_the_one_that_trained(tmp_path: Path) -> None:
    given = inputs_of("strict")
    fused = fit(STRATEGIES["set-ratio, seeds, rates"], given, 0, QUIET)
    store = TrainingStore(tmp_path, quiet)
    store.find_or_train("a", lambda: Trained(fused))
    read = store.find_or_train("a", lambda: pytest.fail("trained again")).fused
    assert fused.fitting is not None and fused.fitting_states is not None
    np.testing.assert_array_equal(read.fitting, fused.fitting)
    np.testing.assert_array_equal(read.fitting_states, fused.fitting_states)
    corpus = corpus_of(given)
    assert decided(read, corpus, Protocol("bayes")) == decided(fused, corpus, Protocol("bayes"))


def config_of(decision: str) -> TrialConfig:
    return TrialConfig(
        corpus="toy",
        encoders={},
        fusion=STRATEGIES["early"],
        decision=DecisionConfig(name=decision),
        seed=0,
        nesting="strict",
    )


def test_what_was_done_is_in_the_label() -> None:
    strict = config_of("bayes").resolved("mixture")
    assert strict.protocol.label == "bayes, cross-fold, strictly nested"
    plain = strict.model_copy(update={"nesting": "plain"}).protocol
    assert plain.label == "bayes, cross-fold, fitted on scores of models that saw the fold"
    assert Protocol("bayes").label == "bayes, cross-fold" and Protocol("bayes").nesting == "unknown"


def test_where_nothing_is_fitted_nothing_is_said() -> None:
    """A record of before, which says nothing of nesting, was plain; intensities need no models of pairs."""
    assert config_of("templates").resolved("mixture").protocol.label == "templates, cross-fold"
    assert config_of("templates").resolved("mixture").nesting == "strict"
    assert config_of("bayes").resolved("intensities").nesting == "plain"
    old = {key: value for key, value in config_of("bayes").model_dump().items() if key != "nesting"}
    assert TrialConfig.model_validate(old).nesting == "plain"
