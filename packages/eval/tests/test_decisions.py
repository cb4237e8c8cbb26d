"""What decisions do with known posteriors and known scores."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from blended.data import InputError, LabelSpace, Mixture
from blended.data.corpora.blemore import EMOTIONS, SPACE
from blended.eval.decisions import DECISIONS, FitOptions
from blended.eval.decisions.decider import choose, inner_splits, maximise_expected_score, state_numbers
from blended.eval.decisions.multinomial import PERCENTILES, fit_multinomial
from blended.eval.decisions.set_ratio import fit_once, pairs_of
from blended.eval.evidence import Evidence

STATE = {state.name: number for number, state in enumerate(SPACE.states)}


def evidence(logits: ndarray, actors: list[int] | None = None, folds: list[int] | None = None) -> Evidence:
    zeros = [0] * len(logits)
    return Evidence(
        np.asarray(logits, dtype=float),
        np.array(actors or zeros, dtype=np.int64),
        np.array(folds or zeros, dtype=np.int64),
        SPACE,
    )


def plain_gain(posterior: list[float], named: int, blend_share: float, weight: float) -> float:
    """Expected score of naming a state, times clips: summed over what the truth may be."""
    said = SPACE.states[named].rounded()
    gain = 0.0
    for probability, state in zip(posterior, SPACE.states, strict=True):
        true = state.rounded()
        if set(true) == set(said):
            gain += weight * probability
        if len(true) == 2 and true == said:
            gain += (1 - weight) * probability / blend_share
    return gain


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 0.9), st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]))
def test_the_state_chosen_has_the_largest_expected_score(
    seed: int, blend_share: float, weight: float
) -> None:
    posterior = np.random.default_rng(seed).dirichlet([0.3] * 36, size=3)
    chosen = maximise_expected_score(posterior, SPACE, blend_share=blend_share, presence_weight=weight)
    for row, mixture in zip(posterior.tolist(), chosen, strict=True):
        gains = [plain_gain(row, named, blend_share, weight) for named in range(36)]
        assert gains[STATE[mixture.name]] == pytest.approx(max(gains), abs=1e-12)


def test_a_spread_pair_outweighs_a_likelier_single() -> None:
    """0.4 for the single; 0.6 over three shares of one pair: the pair is named, at its likeliest share."""
    posterior = np.zeros((1, 36))
    posterior[0, [STATE["ang"], STATE["ang+hap:50/50"], STATE["ang+hap:70/30"], STATE["ang+hap:30/70"]]] = [
        0.4, 0.15, 0.25, 0.2,
    ]  # fmt: skip
    assert maximise_expected_score(posterior, SPACE, blend_share=0.54)[0].name == "ang+hap:70/30"


def test_a_truth_that_is_no_state_is_refused() -> None:
    with pytest.raises(InputError, match="ang\\+hap:60/40 is none of the 36 label states of the corpus"):
        state_numbers([Mixture.single("ang"), Mixture({"ang": 60.0, "hap": 40.0})], SPACE)


@pytest.mark.parametrize("name", ["bayes", "set-ratio"])
def test_the_weight_of_presence_moves_decisions_from_shares_to_sets(name: str) -> None:
    """Of frequencies alone: with all weight on salience blends are named, on presence the likely set."""
    rng = np.random.default_rng(0)
    truth = [SPACE.states[0]] * 40 + [SPACE.states[number] for number in rng.integers(6, 36, size=80)]
    clips = evidence(rng.normal(size=(120, 1, 6)) * 1e-3)
    blends = []
    for weight in (0.0, 1.0):
        decided = DECISIONS[name](clips, truth, FitOptions(presence_weight=weight)).decide(clips)
        blends.append(np.mean([mixture.is_blend for mixture in decided]))
    assert blends[0] > 0.9 and blends[1] < 0.1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_probabilities_of_states_are_decoded_as_by_trying_every_answer(seed: int, weight: float) -> None:
    """Of all 36 answers the best on average, if the model is right about what is true."""
    rng = np.random.default_rng(seed)
    posterior = rng.dirichlet([0.3] * 36, size=4)
    truth = [SPACE.states[number] for number in rng.integers(0, 36, size=50)] + [SPACE.states[7]]
    blend_share = float(np.mean([mixture.is_blend for mixture in truth]))
    clips = replace(evidence(rng.normal(size=(4, 1, 6))), states=np.log(posterior) + rng.normal(size=(4, 1)))
    fitted = DECISIONS["expected-score"](clips, truth, FitOptions(presence_weight=weight))
    for row, mixture in zip(posterior.tolist(), fitted.decide(clips), strict=True):
        gains = [plain_gain(row, named, blend_share, weight) for named in range(36)]
        assert gains[STATE[mixture.name]] == pytest.approx(max(gains), abs=1e-9)


def test_a_decision_of_states_needs_them() -> None:
    clips = evidence(np.zeros((2, 1, 6)))
    fitted = DECISIONS["expected-score"](clips, [SPACE.states[0], SPACE.states[6]], FitOptions())
    with pytest.raises(InputError, match="probabilities of emotions only: use set-ratio or bayes"):
        fitted.decide(clips)


@pytest.mark.parametrize("name", ["bayes", "set-ratio"])
def test_learned_decisions_read_the_states_of_a_model_that_has_them(name: str) -> None:
    """Emotions say nothing here, states everything."""
    rng = np.random.default_rng(4)
    numbers = np.tile(np.arange(36), 12)
    states = np.full((len(numbers), 36), -6.0)
    states[np.arange(len(numbers)), numbers] = 0.0
    blind = evidence(
        rng.normal(size=(len(numbers), 1, 6)), [*range(12)] * 36, [k % 3 for k in range(12)] * 36
    )
    truth = [SPACE.states[number] for number in numbers]
    seeing = replace(blind, states=states + rng.normal(size=states.shape))
    right = []
    for clips in (blind, seeing):
        decided = DECISIONS[name](clips, truth, FitOptions()).decide(clips)
        right.append(np.mean([d.emotions == t.emotions for d, t in zip(decided, truth, strict=True)]))
    assert right[0] < 0.4 and right[1] > 0.9


@pytest.mark.parametrize("name", ["bayes", "set-ratio"])
def test_near_certainty_is_not_carried_on_along_a_line(name: str) -> None:
    """Beyond the surest clips that were seen nothing more is inferred, so all of them are decided alike."""
    rng = np.random.default_rng(0)
    actors = [row % 12 for row in range(600)]
    truth = [SPACE.states[number % 36] for number in range(600)]
    p = 0.6 * np.array([SPACE.target(mixture) for mixture in truth]) + 0.4 * rng.dirichlet(np.ones(6), 600)
    fitted = DECISIONS[name](
        evidence(np.log(p)[:, None], actors, [a % 3 for a in actors]), truth, FitOptions()
    )
    posteriors: list[ndarray] = []
    for rest in (1e-6, 1e-9, 1e-12):
        sure = np.full((1, 1, 6), np.log(rest))
        sure[0, 0, EMOTIONS.index("sad")] = np.log1p(-5 * rest)
        posteriors.append(fitted.posterior(evidence(sure)))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    assert (posteriors[0] == posteriors[1]).all() and (posteriors[1] == posteriors[2]).all()
    assert posteriors[0][0].argmax() == STATE["sad"]


def test_templates_return_the_state_that_a_perfect_model_gives() -> None:
    targets = np.array([SPACE.target(state) for state in SPACE.states])
    given_logits = np.log(np.maximum(targets, 1e-9))[:, None, :]
    clips = evidence(given_logits)
    assert DECISIONS["templates"](clips, list(SPACE.states), FitOptions()).decide(clips) == list(SPACE.states)


def test_trivial_baselines_answer_the_most_frequent_and_break_ties_by_name() -> None:
    truth = [Mixture.single("sad"), Mixture.single("hap"), Mixture({"ang": 70.0, "fea": 30.0})]
    clips = evidence(np.zeros((3, 1, 6)))
    assert (
        DECISIONS["most-frequent-single"](clips, truth, FitOptions()).decide(clips)
        == [Mixture.single("hap")] * 3
    )
    assert DECISIONS["most-frequent-blend"](clips, truth, FitOptions()).decide(clips) == [truth[2]] * 3


def test_pairs_list_their_states_by_share_of_the_first_emotion() -> None:
    pairs = pairs_of(SPACE)
    assert len(pairs) == 10
    for pair in pairs:
        first, second = SPACE.emotions[pair.first], SPACE.emotions[pair.second]
        for share, state in pair.states.items():
            assert SPACE.states[state] == Mixture({first: float(share), second: 100.0 - share})


def noisy(num_actors: int = 6) -> tuple[Evidence, list[Mixture]]:
    rng = np.random.default_rng(0)
    truth = list(SPACE.states) * num_actors
    actors = np.repeat(np.arange(num_actors), 36)
    signal = np.log(np.array([SPACE.target(mixture) for mixture in truth]) + 0.05)[:, None, :]
    logits = signal + rng.normal(size=(len(truth), 1, 6)) * 0.4
    return evidence(logits, actors.tolist(), (actors % 3).tolist()), truth


def test_set_times_ratio_is_a_distribution_over_states() -> None:
    clips, truth = noisy()
    posterior = fit_once(0.3, clips, truth).posterior(clips)
    np.testing.assert_allclose(posterior.sum(axis=1), 1, atol=1e-9)
    assert (posterior >= 0).all()


def test_a_space_of_singles_needs_no_ratio() -> None:
    space = LabelSpace(EMOTIONS[:3], "single", tuple(Mixture.single(emotion) for emotion in EMOTIONS[:3]))
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 3, size=60)
    logits = (np.eye(3)[numbers] * 4 + rng.normal(size=(60, 3)))[:, None, :]
    folds = np.arange(60) % 3
    clips = Evidence(logits, folds, folds, space)
    truth = [space.states[number] for number in numbers]
    for name in ("bayes", "set-ratio", "thresholds", "templates"):
        decided = DECISIONS[name](clips, truth, FitOptions()).decide(clips)
        assert np.mean([d == t for d, t in zip(decided, truth, strict=True)]) > 0.9, name


def test_inner_folds_hold_the_published_folds_one_at_a_time() -> None:
    clips, _ = noisy()
    held = [hold for _, hold in inner_splits(clips)]
    assert [set(clips.folds[hold].tolist()) for hold in held] == [{0}, {1}, {2}]
    assert sorted(np.concatenate(held).tolist()) == list(range(len(clips.folds)))


@pytest.mark.parametrize("num_actors", [2, 5])
def test_with_few_folds_inner_parts_are_groups_of_actors(num_actors: int) -> None:
    clips = evidence(np.zeros((20, 1, 6)), [row % num_actors for row in range(20)])
    parts = list(inner_splits(clips))
    assert len(parts) == min(3, num_actors)
    for fit, hold in parts:
        assert not set(clips.actors[fit].tolist()) & set(clips.actors[hold].tolist())


def test_choose_takes_the_best_knob_and_the_first_of_equals() -> None:
    clips, truth = noisy()
    position = {tuple(row): number for number, row in enumerate(clips.logits[:, 0].tolist())}

    def decide(knob: float, held: Evidence) -> list[Mixture]:
        """Right for knobs 2 and 3, wrong for 1."""
        right = [truth[position[tuple(row)]] for row in held.logits[:, 0].tolist()]
        return right if knob > 1 else [Mixture.single("neu")] * len(right)

    best, totals = choose((1.0, 2.0, 3.0), lambda *_: decide, clips, truth)
    assert best == 2.0
    assert totals[1] == totals[2] == pytest.approx(3.0)
    assert totals[0] < 0.2


def test_with_one_actor_the_first_knob_is_taken() -> None:
    clips = evidence(np.zeros((4, 1, 6)))
    best, _ = choose((0.5, 1.0), lambda *_: lambda *_: [], clips, [Mixture.single("ang")] * 4)
    assert best == 0.5


def test_a_class_seen_alone_is_certain_and_an_unseen_one_impossible() -> None:
    inputs = np.random.default_rng(0).normal(size=(9, 2))
    alone = fit_multinomial(inputs, np.full(9, 1), inverse_penalty=1.0).posterior(inputs, 3)
    np.testing.assert_array_equal(alone, [[0, 1, 0]] * 9)
    two = fit_multinomial(inputs, np.arange(9) % 2 * 2, inverse_penalty=1.0).posterior(inputs, 3)
    np.testing.assert_array_equal(two[:, 1], 0)
    np.testing.assert_allclose(two.sum(axis=1), 1)


@pytest.mark.parametrize("num_classes", [2, 3, 16])
@pytest.mark.parametrize("inverse_penalty", [0.01, 3.0])
def test_the_multinomial_is_that_of_scikit_learn(num_classes: int, inverse_penalty: float) -> None:
    """To 1e-9, with a feature that never varies and one that varies by rounding only."""
    rng = np.random.default_rng(num_classes)
    targets = rng.integers(num_classes, size=400)
    inputs = rng.normal(size=(400, 5)) + np.eye(num_classes, 5)[targets]
    inputs[:, 3], inputs[:, 4] = 7.0, 0.1 + 1e-17 * inputs[:, 4]
    ours = fit_multinomial(inputs, targets, inverse_penalty=inverse_penalty)
    bounded = np.clip(inputs, *np.percentile(inputs, PERCENTILES, axis=0))
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=500))
    theirs.fit(bounded, targets)
    expected = theirs[-1].coef_.T if num_classes > 2 else np.pad(theirs[-1].coef_.T, ((0, 0), (1, 0)))
    np.testing.assert_allclose(ours.weights, expected, atol=1e-9)
    np.testing.assert_allclose(ours.posterior(inputs, num_classes), theirs.predict_proba(bounded), atol=1e-9)


def test_a_posterior_has_the_same_bits_in_any_memory_order() -> None:
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(200, 12))
    model = fit_multinomial(inputs, rng.integers(16, size=200), inverse_penalty=1.0)
    turned = replace(model, weights=np.asfortranarray(model.weights))
    expected = model.posterior(inputs, 16)
    np.testing.assert_array_equal(turned.posterior(np.asfortranarray(inputs), 16), expected)
    np.testing.assert_array_equal(model.posterior(inputs[5:6], 16), expected[5:6])
