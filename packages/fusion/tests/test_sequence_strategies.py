"""Strategies on sequences: every kind of cross-attention, and stretches as examples."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.modules.attention import LagBias, MaskedAttention
from blended.fusion.modules.streams import positions, times
from blended.fusion.objective import LossConfig
from blended.fusion.plan import model_seed
from blended.fusion.sequences import pack, resampled
from blended.fusion.sources import Change
from blended.fusion.strategies import CrossAttentionConfig, Fused, SubsampledConfig, cross_attention, fit
from blended.fusion.strategies.cross_attention import KINDS
from toys.problems import QUIET, TOY_SPACE, toy_inputs

QUICK = TrainingConfig(max_epochs=8, batch_size=16, learning_rate=5e-3, weight_decay=0.01)
BOTH = ("ear", "eye")


def accuracy(predicted: np.ndarray, targets: torch.Tensor) -> float:
    return float((predicted.argmax(axis=1) == targets.numpy().argmax(axis=1)).mean())


@pytest.mark.parametrize("kind", [*KINDS])
def test_every_kind_learns_from_both_and_does_without_either(kind: str) -> None:
    given = toy_inputs()
    config = CrossAttentionConfig.model_validate(
        {"features": BOTH, "kind": kind, "width": 8, "heads": 2, "training": QUICK}
    )
    fused = fit(config, given, 0, QUIET)
    assert accuracy(fused.out_of_fold, given.targets) > 0.6
    for modality in ("audio", "video"):
        without = fused.changed(Change(without=frozenset({modality})))
        assert np.isfinite(without).all()
        assert accuracy(without, given.targets) < accuracy(fused.out_of_fold, given.targets)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bidirectional"])
def test_kinds_of_two_streams_refuse_one(kind: str) -> None:
    config = CrossAttentionConfig.model_validate({"features": ("eye",), "kind": kind, "training": QUICK})
    with pytest.raises(InputError, match="needs features of sound and of picture, got only eye"):
        fit(config, toy_inputs(), 0, QUIET)


@pytest.mark.parametrize("mixup", [0.0, 0.2])
def test_sorting_clips_by_length_changes_no_number(mixup: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches in three pieces, short clips first, against whole ones; clips that are mixed are not sorted."""
    training = TrainingConfig(
        max_epochs=2, batch_size=20, learning_rate=5e-3, dropout=0.3, modality_dropout=0.3, mixup=mixup,
        loss=LossConfig(balance=0.5, r_drop=0.3), clip_norm=1.0,
    )  # fmt: skip
    config = CrossAttentionConfig(features=BOTH, width=4, heads=2, training=training)
    gone = np.arange(100) % 9 == 0
    given = toy_inputs(num_folds=3, missing={"eye": gone})
    found: list[Fused] = []
    for pieces in (1, 3):
        monkeypatch.setattr(cross_attention, "PIECES_BY_LENGTH", pieces)
        found.append(fit(config, given, 0, QUIET))
    whole, cut = found
    np.testing.assert_allclose(cut.out_of_fold, whole.out_of_fold, atol=1e-5)
    np.testing.assert_allclose(cut.test, whole.test, atol=1e-5)


def test_streams_can_be_drawn_together() -> None:
    training = QUICK.model_copy(update={"loss": LossConfig(contrastive=0.1), "max_epochs": 3})
    config = CrossAttentionConfig(features=BOTH, width=8, heads=2, training=training)
    plain = config.model_copy(update={"training": QUICK.model_copy(update={"max_epochs": 3})})
    given = toy_inputs()
    assert not np.allclose(
        fit(config, given, 0, QUIET).out_of_fold, fit(plain, given, 0, QUIET).out_of_fold, atol=1e-4
    )


def lagged(seed: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Two streams of the same noise, the second 0.3 s later or earlier: nothing else tells the classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 120)
    first: list[np.ndarray] = []
    second: list[np.ndarray] = []
    for label in labels:
        noise = rng.normal(size=50)
        first.append(noise[6:44, None])
        second.append(np.roll(noise, 3 if label else -3)[6:44, None])
    return first, second, labels


def test_attention_hears_what_comes_first() -> None:
    """Timing between streams that pooled statistics cannot see."""
    first, second, labels = lagged(0)
    given = toy_inputs(num_test=0)
    targets = torch.eye(4)[torch.as_tensor(labels)]
    streams = {"ear": pack(first, 10.0, "cpu"), "eye": pack(second, 10.0, "cpu")}
    timed = replace(given, targets=targets, sequences=streams, features={})
    training = TrainingConfig(max_epochs=30, batch_size=16, learning_rate=5e-3, weight_decay=0.01)
    config = CrossAttentionConfig(features=BOTH, width=16, heads=4, rate_hz=None, training=training)
    assert accuracy(fit(config, timed, 0, QUIET).out_of_fold, targets) > 0.8
    alone = config.model_copy(update={"features": ("ear",)})
    assert accuracy(fit(alone, timed, 0, QUIET).out_of_fold, targets) < 0.7


def test_a_lag_bias_is_of_seconds_and_not_of_steps() -> None:
    bias = LagBias(4, 0.8, 17)
    slow, fast = times(6, 5.0, torch.device("cpu")), times(30, 25.0, torch.device("cpu"))
    at_slow, at_fast = bias(slow, slow), bias(fast, fast)
    middles = torch.arange(2, 30, 5)
    torch.testing.assert_close(at_slow, at_fast[:, middles][:, :, middles])
    torch.testing.assert_close(
        positions(slow, 8, 5.0), positions(fast, 8, 5.0)[middles], atol=1e-5, rtol=1e-5
    )


def test_attention_ignores_steps_that_are_not_there() -> None:
    attend = MaskedAttention(8, 2)
    asking, answering = torch.randn(3, 4, 8), torch.randn(3, 5, 8)
    valid = torch.tensor([[True] * 3 + [False] * 2] * 3)
    spoilt = answering.clone()
    spoilt[:, 3:] = 1e3
    torch.testing.assert_close(attend(asking, answering, valid), attend(asking, spoilt, valid))
    nobody = attend(asking, answering, torch.zeros(3, 5, dtype=torch.bool))
    assert bool(nobody.isfinite().all())


def test_stretches_are_trained_one_by_one_and_averaged() -> None:
    """Against plain torch: every stretch is an example, logits are averaged before the softmax."""
    given = toy_inputs()
    training = TrainingConfig(max_epochs=3, batch_size=1000, learning_rate=0.01, weight_decay=0.0)
    config = SubsampledConfig(features=("eye",), stretch_seconds=0.2, training=training)
    fused = fit(config, given, 0, QUIET)
    epochs = round(fused.fitted["epochs/fold0"])
    whole = resampled(given.sequences["eye"], 5.0)
    clip_of_step = whole.clip_of_step
    kept = np.isin(clip_of_step.numpy(), np.flatnonzero(given.folds != 0))
    x = whole.values_FD
    x = (x - x[kept].mean(dim=0)) / x[kept].std(dim=0, correction=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(model_seed(0, 0))
        model = torch.nn.Linear(x.shape[1], len(TOY_SPACE.emotions))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0)
    for _ in range(epochs):
        log_p = model(x[kept]).log_softmax(dim=-1)
        loss = torch.nn.functional.kl_div(log_p, given.targets[clip_of_step[kept]], reduction="batchmean")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        logits = model(x)
    for clip in np.flatnonzero(given.folds == 0)[:10]:
        expected = logits[clip_of_step == clip].mean(dim=0).softmax(dim=-1)
        np.testing.assert_allclose(fused.out_of_fold[clip], expected.numpy(), atol=1e-5)


def test_stretches_refuse_what_cannot_be_averaged() -> None:
    config = SubsampledConfig(features=BOTH, training=QUICK.model_copy(update={"mixup": 0.2}))
    with pytest.raises(InputError, match="leave out mixup, r_drop and"):
        fit(config, toy_inputs(), 0, QUIET)
