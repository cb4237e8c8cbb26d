"""Attention by lag against plain sums over clips and steps, with weights that are known."""

import numpy as np
import pytest
import torch

from blended.fusion.config import TrainingConfig
from blended.fusion.modules.attention import MaskedAttention
from blended.fusion.strategies import Fused, fit
from toys.problems import QUIET, toy_config, toy_inputs

BRIEF = TrainingConfig(learning_rate=0.01, max_epochs=1, batch_size=64)
GIVEN = toy_inputs(num_folds=3, per_fold=8, num_test=0)
HZ = 5.0


def fused(kind: str, **settings: object) -> Fused:
    return fit(toy_config("cross-attention", BRIEF, kind=kind, rate_hz=HZ, **settings), GIVEN, 0, QUIET)


@pytest.mark.parametrize("kind", ["bidirectional", "m2fnet", "av-canet", "joint"])
def test_attention_that_knows_nothing_prefers_no_lag(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps and the token for nothing get the same: every lag counts once, nothing 1 of 1 + steps."""
    made = fused(kind, layers=2)
    real = MaskedAttention._weights  # pyright: ignore[reportPrivateUsage]

    def even(self: MaskedAttention, *given: object) -> torch.Tensor:
        weights = real(self, *given)  # pyright: ignore[reportArgumentType]
        open_ = (weights > 0).to(weights.dtype)
        return open_ / open_.sum(dim=-1, keepdim=True)

    monkeypatch.setattr(MaskedAttention, "_weights", even)
    assert made.attended is not None
    found = made.attended([3])
    directions = {(one.asking, one.answering, one.layer) for one in found}
    both = {("audio", "video"), ("video", "audio")}
    expected = {
        "bidirectional": {(*pair, layer) for pair in both for layer in (1, 2)},
        "m2fnet": {("video", "audio", 1), ("video", "audio", 2)},
    }.get(kind, {(*pair, 1) for pair in both})
    assert directions == expected and len(found) == len(expected)
    lengths = {"audio": "ear", "video": "eye"}
    for one in found:
        np.testing.assert_allclose(one.preference, 1, atol=1e-9)
        assert abs(one.lags_seconds).max() <= 1.2 and 0 in one.lags_seconds.round(6)
        rows = one.clips[3].weights
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
        asked = int(GIVEN.sequences[lengths[one.asking]].lengths_N[3])
        assert len(rows) == len(one.clips[3].asking_seconds) == asked


def test_preferred_lags_are_those_of_plain_sums() -> None:
    """Heads of one untrained step, summed clip by clip and step by step from the weights of each."""
    made = fused("bidirectional")
    assert made.attended is not None
    everyone = range(24)
    found = {one.asking: one for one in made.attended([*everyone])}["audio"]
    assert found.preference.shape[0] == 2  # heads
    totals: dict[int, list[float]] = {}
    for clip in everyone:
        shown = found.clips[clip]
        for step, asked in enumerate(shown.asking_seconds):
            for other, answered in enumerate(shown.answering_seconds):
                multiple = shown.weights[step, other] * len(shown.answering_seconds)
                totals.setdefault(round((answered - asked) * HZ), []).append(multiple)
    plain = [np.mean(totals[round(lag * HZ)]) for lag in found.lags_seconds]
    np.testing.assert_allclose(found.preference.mean(axis=0), plain, atol=1e-5)
    # Heads begin with opposite lags: the first asks what was before, the second what comes.
    centre = found.preference @ found.lags_seconds / found.preference.sum(axis=1)
    assert centre[0] < 0 < centre[1]


def test_clips_without_a_stream_ask_for_nothing_and_others_have_no_attention() -> None:
    gone = np.zeros(24, dtype=bool)
    gone[:5] = True
    given = toy_inputs(num_folds=3, per_fold=8, num_test=0, missing={"eye": gone})
    made = fit(toy_config("cross-attention", BRIEF, rate_hz=HZ), given, 0, QUIET)
    assert made.attended is not None
    for one in made.attended([2, 20]):
        assert set(one.clips) == {20} and np.isfinite(one.preference).all()
    assert fit(toy_config("early", BRIEF), given, 0, QUIET).attended is None
