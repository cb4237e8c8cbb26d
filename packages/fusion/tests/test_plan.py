"""The batching plan: every clip once an epoch, and draws that depend on the model's own seed alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blended.fusion.plan import Draws, Job, batches_of_epoch

CPU = torch.device("cpu")


def job(num_rows: int, seed: int, epochs: int = 2) -> Job:
    return Job(np.arange(num_rows), epochs, seed, 0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 17), st.integers(0, 3))
def test_an_epoch_visits_every_row_once(num_rows: int, batch_size: int, seed: int) -> None:
    plan = batches_of_epoch([job(num_rows, seed), job(5, seed, epochs=1)], 1, batch_size)
    visited = plan[:, 0].ravel()
    assert sorted(visited[visited >= 0].tolist()) == list(range(num_rows))
    assert (visited[:num_rows] >= 0).all(), "padding comes last"
    assert (plan[:, 1] == -1).all(), "the second model is done after one epoch"


def test_another_epoch_and_another_seed_have_another_order() -> None:
    orders = [
        batches_of_epoch([job(40, s)], epoch, 40)[0, 0].tolist() for s, epoch in ((1, 0), (1, 1), (2, 0))
    ]
    assert len({tuple(order) for order in orders}) == 3


def drawn(jobs: list[Job], epoch: int = 1, batch: int = 2) -> tuple[torch.Tensor, ...]:
    rows = np.tile(np.arange(12), (len(jobs), 1))
    rows[:, 9:] = -1
    draws = Draws(jobs, epoch, batch, CPU)
    first, again = draws.uniform(12, 3), draws.uniform(12, 3, turn=1)
    return first, again, *draws.mixup(rows, 0.5), draws.kept_modalities(12, 2, 0.5)


def test_a_models_draws_do_not_depend_on_the_others() -> None:
    together = drawn([job(12, 1), job(30, 7), job(12, 3)])
    alone = drawn([job(30, 7)])
    for ours, theirs in zip(together, alone, strict=True):
        assert torch.equal(ours[1], theirs[0])


def test_draws_differ_between_models_epochs_batches_and_passes() -> None:
    first, again, *_ = drawn([job(12, 1), job(12, 2)])
    others = [drawn([job(12, 1)], epoch=2)[0], drawn([job(12, 1)], batch=3)[0], again[:1], first[1:]]
    for other in others:
        assert not torch.equal(first[:1], other)
        assert float(other.min()) >= 0 and float(other.max()) < 1


def test_partners_are_clips_of_the_batch_and_padding_is_its_own() -> None:
    _, _, partner, share, _ = drawn([job(12, seed) for seed in range(20)])
    for row in partner:
        assert sorted(row[:9].tolist()) == list(range(9))
        assert row[9:].tolist() == [9, 10, 11]
    assert ((share >= 0.5) & (share <= 1)).all()


def test_a_share_of_the_clips_loses_one_modality_each_alike() -> None:
    kept = Draws([job(12, seed) for seed in range(40)], 0, 0, CPU).kept_modalities(250, 4, 0.3)
    hidden = ~kept
    assert int(hidden.sum(dim=-1).max()) == 1
    assert float(hidden.any(dim=-1).float().mean()) == pytest.approx(0.3, abs=0.02)
    for modality in range(4):
        assert float(hidden[..., modality].float().mean()) == pytest.approx(0.075, abs=0.01)
