"""The one contract of all strategies, HiCMAE included: who is judged by whom, and what may be missing."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import PICTURES, SOUND, Inputs
from blended.fusion.sequences import Sequences, chosen
from blended.fusion.sources import Change
from blended.fusion.strategies import FUSIONS, Fused, apply_final, fit
from blended.fusion.strategy import NewClips
from toys.media import toy_hicmae, toy_media_inputs
from toys.problems import QUIET, SINGLE_SPACE, toy_config, toy_inputs

PER_FOLD, NUM_TRAIN, NUM_TEST = 10, 30, 8
TRAINING = TrainingConfig(max_epochs=2, batch_size=16, learning_rate=3e-3)
DEAF, BLIND = slice(0, 4), slice(20, 22)
"""Training clips without sound, and without pictures."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A strategy, tiny, with clips of which some lack a modality."""

    config: Any
    inputs: Inputs
    fused: Fused


def inputs_of(name: str) -> Inputs:
    deaf, blind = (np.zeros(NUM_TRAIN + NUM_TEST, dtype=bool) for _ in range(2))
    deaf[DEAF], blind[BLIND] = True, True
    if FUSIONS[name].reads.name != "media":
        return toy_inputs(
            space=SINGLE_SPACE, num_folds=3, per_fold=PER_FOLD, num_test=NUM_TEST,
            missing={"ear": deaf, "eye": blind},
        )  # fmt: skip
    given = toy_media_inputs(per_fold=PER_FOLD, num_test=NUM_TEST, windows=1)
    assert given.media is not None
    return replace(given, media=replace(given.media, has_sound=~deaf, has_pictures=~blind))


def config_of(name: str) -> Any:
    return (
        toy_hicmae(TRAINING, windows=1) if FUSIONS[name].reads.name == "media" else toy_config(name, TRAINING)
    )


@pytest.fixture(scope="module", params=[*FUSIONS])
def case(request: pytest.FixtureRequest) -> Case:
    name = str(request.param)
    config, inputs = config_of(name), inputs_of(name)
    return Case(config, inputs, fit(config, inputs, 0, QUIET))


def test_every_clip_has_probabilities(case: Case) -> None:
    fused = case.fused
    for given, count in ((fused.out_of_fold, NUM_TRAIN), (fused.inner, NUM_TRAIN), (fused.test, NUM_TEST)):
        assert given.shape == (count, 4) and np.isfinite(given).all() and (given >= 0).all()
        np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-6)
    assert {f"epochs/fold{fold}" for fold in range(3)} <= {
        key.removeprefix("ear/").removeprefix("eye/") for key in fused.fitted
    }


def test_labels_of_a_fold_say_nothing_about_its_predictions(case: Case) -> None:
    """Nor do those of the first fold about the inner scores that choices for it are made on."""
    targets = case.inputs.targets.clone()
    targets[:PER_FOLD] = targets[:PER_FOLD].roll(1, dims=1)
    other = fit(case.config, replace(case.inputs, targets=targets), 0, QUIET)
    # To rounding: which models are trained together depends on how long the others are trained.
    np.testing.assert_allclose(other.out_of_fold[:PER_FOLD], case.fused.out_of_fold[:PER_FOLD], atol=1e-6)
    assert not np.allclose(other.out_of_fold[PER_FOLD:], case.fused.out_of_fold[PER_FOLD:], atol=1e-5)
    if case.config.name != "late":  # whose inner scores are of combinations that saw other halves of a fold
        inner = slice(PER_FOLD, 2 * PER_FOLD)
        np.testing.assert_allclose(other.inner[inner], case.fused.inner[inner], atol=1e-6)


@pytest.mark.parametrize("name", FUSIONS)
def test_every_strategy_is_nested(name: str) -> None:
    """HiCMAE too; with three folds probes are all pairs there are."""
    given = replace(inputs_of(name), nesting="strict")
    targets = given.targets.clone()
    targets[:PER_FOLD] = targets[:PER_FOLD].roll(1, dims=1)
    strict = fit(config_of(name), given, 0, QUIET)
    other = fit(config_of(name), replace(given, targets=targets), 0, QUIET)
    plain = fit(config_of(name), replace(given, nesting="plain"), 0, QUIET)
    assert strict.fitting is not None and other.fitting is not None and plain.fitting is None
    np.testing.assert_allclose(strict.fitting[0], other.fitting[0], atol=1e-6)
    assert not np.allclose(strict.fitting[1][:PER_FOLD], strict.out_of_fold[:PER_FOLD], atol=1e-5)
    for fold in range(3):
        rows = given.folds == fold
        np.testing.assert_array_equal(strict.fitting[fold][rows], strict.out_of_fold[rows])


def test_without_a_modality_the_others_are_enough(case: Case) -> None:
    fused = case.fused
    np.testing.assert_allclose(fused.changed(Change()), fused.out_of_fold, atol=1e-6)
    for modality, lacking in (("audio", DEAF), ("video", BLIND)):
        without = fused.changed(Change(without=frozenset({modality})))
        np.testing.assert_allclose(without.sum(axis=1), 1, atol=1e-6)
        assert not np.allclose(without, fused.out_of_fold, atol=1e-5)
        # Clips that never had it are judged as before.
        np.testing.assert_allclose(without[lacking], fused.out_of_fold[lacking], atol=1e-6)


def test_new_clips_are_judged_as_the_test_clips(case: Case) -> None:
    whole = clips_of(case.inputs, FUSIONS[case.config.name].reads.name)
    applied = apply_final(case.config, case.fused.state, whole)
    np.testing.assert_allclose(applied.probabilities, case.fused.test, atol=1e-6)
    assert sum(applied.weights.values()) == pytest.approx(1) and applied.missing == ()
    silent = apply_final(case.config, case.fused.state, without_sound(whole))
    np.testing.assert_allclose(silent.probabilities.sum(axis=1), 1, atol=1e-6)
    assert len(silent.missing) == 1 and not np.allclose(
        silent.probabilities, applied.probabilities, atol=1e-5
    )
    nothing = NewClips(case.inputs.space, whole.actors, case.inputs.modality_of)
    with pytest.raises(InputError, match="no features to decide from, expected those of"):
        apply_final(case.config, case.fused.state, nothing)


def clips_of(inputs: Inputs, reads: str) -> NewClips:
    test = [*range(NUM_TRAIN, NUM_TRAIN + NUM_TEST)]
    actors = [inputs.actors[row] for row in test]
    features: dict[str, torch.Tensor | Sequences] = {}
    if inputs.media is not None:
        arrays = {PICTURES: inputs.media.pictures, SOUND: inputs.media.sound}
        features |= {name: torch.from_numpy(given[inputs.media.rows[test]]) for name, given in arrays.items()}
    elif reads == "vectors":
        features |= {name: inputs.features[name][test] for name in ("ear", "eye")}
    else:
        features |= {name: chosen(inputs.sequences[name], test) for name in ("ear", "eye")}
    return NewClips(inputs.space, actors, inputs.modality_of, features)


def without_sound(clips: NewClips) -> NewClips:
    kept = {name: x for name, x in clips.features.items() if name not in ("ear", SOUND)}
    return replace(clips, features=kept)
