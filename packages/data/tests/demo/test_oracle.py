import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from blended.data import Mixture
from blended.data.demo.actors import Actor, cast
from blended.data.demo.config import DemoConfig
from blended.data.demo.oracle import VIEWS, View, accuracies, decide, evidence, log_joint
from blended.data.demo.performance import (
    FACE_NOISE,
    LAG_NOISE_SECONDS,
    STRENGTH_NOISE,
    STRENGTH_OF_LEVEL,
    VOICE_NOISE,
    Performance,
    shares_of,
)
from blended.data.demo.render import ceilings, performances
from blended.data.demo.script import takes
from blended.data.demo.signatures import FACE_BY_EMOTION, LAG_SECONDS_BY_EMOTION, VOICE_BY_EMOTION

CONFIG = DemoConfig()
PLANNED = takes(CONFIG)
PERFORMED = performances(CONFIG, PLANNED)
CAST = [cast(CONFIG, index) for index in range(24)]
ACTORS = [CAST[take.actor_index] for take in PLANNED]
SEEN = evidence(PERFORMED, ACTORS)
TRUTH = [take.mixture for take in PLANNED]


@pytest.fixture(scope="module")
def scores() -> dict[str, dict[str, float]]:
    return {name: accuracies(TRUTH, decide(SEEN, view)) for name, view in VIEWS.items()}


def test_oracle_is_good_but_not_perfect(scores: dict[str, dict[str, float]]) -> None:
    assert 0.85 < scores["face_voice_and_timing"]["presence_accuracy"] < 0.95
    assert 0.70 < scores["face_voice_and_timing"]["salience_accuracy"] < 0.85


@pytest.mark.parametrize("metric", ["presence_accuracy", "salience_accuracy"])
def test_every_channel_adds(scores: dict[str, dict[str, float]], metric: str) -> None:
    face, voice, both, everything = (scores[name][metric] for name in VIEWS)
    assert max(face, voice) + 0.1 < both
    assert both + 0.1 < everything
    assert face > 0.15 and voice > 0.15


def test_one_modality_cannot_beat_the_ambiguity_of_the_design(scores: dict[str, dict[str, float]]) -> None:
    """Without noise: 25/54 of the sets from face or voice, 38/54 from both without timing."""
    assert scores["face"]["presence_accuracy"] < 25 / 54 + 0.03
    assert scores["voice"]["presence_accuracy"] < 25 / 54 + 0.03
    assert scores["face_and_voice"]["presence_accuracy"] < 38 / 54 + 0.03


@pytest.mark.parametrize(
    ("pair", "blind", "seeing"),
    [
        (("ang", "disg"), "face_and_voice", "face_voice_and_timing"),
        (("fea", "sad"), "face", "voice"),
        (("hap", "sad"), "voice", "face"),
    ],
)
def test_pairs_are_told_apart_in_their_channel_only(pair: tuple[str, str], blind: str, seeing: str) -> None:
    chosen = [number for number, mixture in enumerate(TRUTH) if mixture.name in pair]

    def right(view: View) -> float:
        """How often the right one of the two is more likely."""
        seen = evidence([PERFORMED[n] for n in chosen], [ACTORS[n] for n in chosen])
        one, other = (log_joint(seen, Mixture.single(emotion), view) for emotion in pair)
        is_one = np.array([TRUTH[n].name == pair[0] for n in chosen])
        # Where nothing tells them apart the two are equal up to rounding.
        return float(np.mean(np.where(np.abs(one - other) < 1e-9, 0.5, (one > other) == is_one)))

    assert right(VIEWS[blind]) == pytest.approx(0.5, abs=0.08)
    assert right(VIEWS[seeing]) > 0.95


def plain_log_joint(performance: Performance, actor: Actor, state: Mixture) -> float:
    """Everything seen, by numerical integration over the strength: a second way to the same number."""
    shares = shares_of(state)

    def density(noise: float, level: float) -> float:
        strength = level * np.exp(STRENGTH_NOISE * noise)
        face = norm.pdf(
            performance.face_weights, actor.face_gain * strength * FACE_BY_EMOTION @ shares, FACE_NOISE
        )
        voice = norm.pdf(
            performance.voice_weights, actor.voice_gain * strength * VOICE_BY_EMOTION @ shares, VOICE_NOISE
        )
        return float(norm.pdf(noise) * face.prod() * voice.prod())

    levels = [0.95] if state.is_blend else list(STRENGTH_OF_LEVEL.values())
    patterns = np.mean([quad(density, -7, 7, args=(level,), limit=200)[0] for level in levels])
    lag = norm.pdf(performance.lag_seconds, LAG_SECONDS_BY_EMOTION @ shares, LAG_NOISE_SECONDS)
    unvoiced = 0.66 if state == Mixture.single("neu") else 0.38
    prior = (1 if state.is_blend else 4) / 54
    return float(np.log(patterns * lag * prior * (1 - unvoiced if performance.is_voiced else unvoiced)))


def test_likelihood_agrees_with_numerical_integration() -> None:
    names = ("ang", "hap", "neu", "ang+disg:70/30", "fea+sad:50/50", "ang+hap:30/70")
    for number in (5, 300, 901):
        performed, actors = [PERFORMED[number]], [ACTORS[number]]
        states = [TRUTH[number], *(Mixture.from_name(name) for name in names)]
        quick = np.array([log_joint(evidence(performed, actors), state, View())[0] for state in states])
        plain = np.array([plain_log_joint(performed[0], actors[0], state) for state in states])
        near = plain > plain.max() - 20
        assert near.sum() >= 1
        difference = (quick - plain)[near]
        assert difference == pytest.approx(np.full(len(difference), difference[0]), abs=0.05)


def test_accuracies_count_as_blemore_does() -> None:
    truth = [Mixture.from_name(name) for name in ("ang", "ang+hap:70/30", "ang+hap:50/50", "neu")]
    decided = [Mixture.from_name(name) for name in ("ang", "ang+hap:30/70", "ang+hap:50/50", "sad")]
    assert accuracies(truth, decided) == {"presence_accuracy": 0.75, "salience_accuracy": 0.5, "score": 0.625}


def test_ceilings_say_on_how_many_clips_they_rest() -> None:
    found = ceilings(DemoConfig(num_train_actors=5, num_test_actors=0))
    train = found["train"]
    assert isinstance(train, dict)
    assert (train["num_clips"], train["num_blends"]) == (270, 150)
    assert list(train["oracle"]) == list(VIEWS)
    assert "test" not in found
