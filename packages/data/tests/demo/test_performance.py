"""The design: which clips differ in what."""

import numpy as np
import pytest

from blended.data import Mixture
from blended.data.demo.actors import cast
from blended.data.demo.config import DemoConfig
from blended.data.demo.performance import (
    FACE_NOISE,
    VIDEO_RATE_HZ,
    VOICE_NOISE,
    Performance,
    Timeline,
    perform,
    shares_of,
)
from blended.data.demo.render import performances
from blended.data.demo.script import Take, takes
from blended.data.demo.signatures import (
    FACE_BY_EMOTION,
    LAG_SECONDS_BY_EMOTION,
    VOICE_BY_EMOTION,
    Array,
    label_space,
)
from blended.data.demo.voice import synthesise

CONFIG = DemoConfig()
PLANNED = takes(CONFIG)
PERFORMED = performances(CONFIG, PLANNED)


def expected(mixture: Mixture) -> tuple[list[float], list[float], float]:
    """Face, voice and lag that a label asks for, before strength and noise."""
    shares = shares_of(mixture)
    face, voice = FACE_BY_EMOTION @ shares, VOICE_BY_EMOTION @ shares
    return list(face.round(9)), list(voice.round(9)), round(float(LAG_SECONDS_BY_EMOTION @ shares), 9)


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("ang", "disg", (False, False, True)),
        ("fea", "sad", (False, True, False)),
        ("hap", "sad", (True, False, False)),
        ("fea", "hap", (True, True, False)),
        ("ang+disg:70/30", "ang+disg:30/70", (False, False, True)),
        ("fea+sad:70/30", "fea+sad:50/50", (False, True, False)),
        ("hap+sad:70/30", "hap+sad:50/50", (True, False, False)),
        ("ang+hap:50/50", "disg+hap:50/50", (False, False, True)),
        ("fea+hap:30/70", "fea+sad:30/70", (True, False, False)),
        ("ang+fea:70/30", "ang+sad:70/30", (False, True, False)),
    ],
)
def test_neighbours_differ_in_one_channel_only(one: str, other: str, differ: tuple[bool, bool, bool]) -> None:
    a, b = expected(Mixture.from_name(one)), expected(Mixture.from_name(other))
    assert tuple(x != y for x, y in zip(a, b, strict=True)) == differ


def test_no_two_labels_ask_for_the_same() -> None:
    asked = [str(expected(state)) for state in label_space().states]
    assert len(set(asked)) == 36


def performed(emotion: str) -> list[Performance]:
    return [p for p, take in zip(PERFORMED, PLANNED, strict=True) if take.mixture == Mixture.single(emotion)]


def z_score(one: Array, other: Array) -> float:
    """Difference of two means in standard errors."""
    error = np.sqrt(one.var() / len(one) + other.var() / len(other))
    return float(np.abs(one.mean(axis=0) - other.mean(axis=0)).max() / error.max())


def test_realised_parameters_agree_where_the_design_says_so() -> None:
    def weights(emotion: str) -> Array:
        return np.array([[*p.face_weights, *p.voice_weights, p.lag_seconds] for p in performed(emotion)])

    ang, disg, fea, hap, sad = (weights(emotion) for emotion in ("ang", "disg", "fea", "hap", "sad"))
    face, voice, lag = slice(0, 3), slice(3, 6), slice(6, 7)
    assert z_score(hap[:, voice], sad[:, voice]) < 4 < 10 < z_score(hap[:, face], sad[:, face])
    assert z_score(fea[:, face], sad[:, face]) < 4 < 10 < z_score(fea[:, voice], sad[:, voice])
    assert z_score(ang[:, :6], disg[:, :6]) < 4 < 10 < z_score(ang[:, lag], disg[:, lag])


def test_where_the_bouts_lie_in_one_modality_says_nothing_about_the_lag() -> None:
    """The phase within the swell is uniform: face and voice alone look the same for ang and disg."""

    def moments(emotion: str, sign: int) -> Array:
        found: list[list[float]] = []
        for p in performed(emotion):
            times = np.linspace(0, p.timeline.num_seconds, 200)
            curve = p.timeline.envelope(times, sign * p.lag_seconds / 2)
            centre = float((times * curve).sum() / curve.sum() / p.timeline.num_seconds)
            found.append(
                [centre, float(curve.mean()), float(curve.std()), float(times[curve.argmax()] / times[-1])]
            )
        return np.array(found)

    for sign in (-1, 1):
        ang, disg = moments("ang", sign), moments("disg", sign)
        for column in range(ang.shape[1]):
            assert z_score(ang[:, [column]], disg[:, [column]]) < 4


def test_voice_lags_behind_face_by_the_lag() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(0, 3, 0.01)
    for lag_seconds in (-0.26, 0.0, 0.26):
        found: list[float] = []
        for _ in range(20):
            line = Timeline.draw(rng, 3.0)
            face, voice = line.envelope(times, -lag_seconds / 2), line.envelope(times, lag_seconds / 2)
            shifts = range(-45, 46)
            overlap = [float((np.roll(face, shift) * voice)[50:-50].sum()) for shift in shifts]
            found.append(0.01 * shifts[int(np.argmax(overlap))])
        assert np.median(found) == pytest.approx(lag_seconds, abs=0.06)


def test_salience_is_carried_by_the_channel_that_tells_the_pair_apart() -> None:
    def mean_lag(name: str) -> float:
        chosen = Mixture.from_name(name)
        return float(
            np.mean([p.lag_seconds for p, t in zip(PERFORMED, PLANNED, strict=True) if t.mixture == chosen])
        )

    lags = [mean_lag(name) for name in ("ang+disg:30/70", "ang+disg:50/50", "ang+disg:70/30")]
    assert lags == pytest.approx([-0.104, 0, 0.104], abs=0.04)


def test_intensity_scales_single_emotions() -> None:
    def size(level: int) -> float:
        chosen = [
            p.face_weights.sum()
            for p, take in zip(PERFORMED, PLANNED, strict=True)
            if take.level == level and take.mixture.name in ("ang", "hap", "sad", "fea", "disg")
        ]
        return float(np.mean(chosen))

    sizes = [size(level) for level in (1, 2, 3, 4)]
    assert sizes == sorted(sizes)
    assert sizes[3] > 1.7 * sizes[0]


def test_noise_is_as_large_as_stated() -> None:
    neutral = performed("neu")
    assert np.std([p.face_weights for p in neutral]) == pytest.approx(FACE_NOISE, rel=0.15)
    assert np.std([p.voice_weights for p in neutral]) == pytest.approx(VOICE_NOISE, rel=0.15)


def test_lengths_and_unvoiced_shares_are_those_of_the_description() -> None:
    seconds = [p.num_frames / VIDEO_RATE_HZ for p in PERFORMED]
    assert min(seconds) >= 1 and max(seconds) <= 3
    assert np.mean(seconds) == pytest.approx(1.8, abs=0.06)
    assert np.mean([not p.is_voiced for p in PERFORMED]) == pytest.approx(0.41, abs=0.05)
    assert np.mean([not p.is_voiced for p in performed("neu")]) == pytest.approx(0.66, abs=0.12)


def test_most_clips_are_very_quiet() -> None:
    levels_db: list[float] = []
    for number in range(0, len(PLANNED), 17):
        actor = cast(CONFIG, PLANNED[number].actor_index)
        sound = synthesise(PERFORMED[number], actor, np.random.default_rng(number))
        levels_db.append(10 * np.log10(float(np.mean(sound**2))))
    assert 0.5 < np.mean([level < -60 for level in levels_db]) < 0.8
    assert min(levels_db) > -75 and max(levels_db) < -40


def test_a_clip_has_random_numbers_of_its_own() -> None:
    """More actors or fewer clips leave what other clips show as it is."""
    larger = CONFIG.model_copy(update={"num_test_actors": 9, "clips_per_actor": 20})
    kept: list[Take] = [take for take in takes(larger) if take.actor == "A103"]
    for take in kept:
        same = PERFORMED[[t.stem for t in PLANNED].index(take.stem)]
        again = perform(larger, take, cast(larger, take.actor_index))
        assert again.face_weights.tolist() == same.face_weights.tolist()
        assert again.lag_seconds == same.lag_seconds
