"""Sequences packed one after the other: cut out, padded, standardised and resampled as by plain loops."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blended.fusion.plan import Job
from blended.fusion.sequences import Sequences, SequenceSource, pack, resampled, sequence_source, side_by_side
from blended.fusion.sources import Change

LENGTHS = [4, 0, 7, 1, 3, 9]
JOBS = [Job(np.array([0, 2, 3]), 1, 0, 0.1), Job(np.array([1, 2, 4, 5]), 1, 0, 0.1)]


def clips(dim: int = 3, seed: int = 0) -> list[np.ndarray | None]:
    rng = np.random.default_rng(seed)
    return [rng.normal(3, 2, size=(n, dim)).astype(np.float32) if n else None for n in LENGTHS]


def unpacked(sequences: Sequences) -> list[np.ndarray]:
    pairs = zip(sequences.starts_N.tolist(), sequences.lengths_N.tolist(), strict=True)
    return [sequences.values_FD[start : start + length].numpy() for start, length in pairs]


def source(max_seconds: float = 100.0, **sequences: Sequences) -> SequenceSource:
    given = sequences or {"audio": pack(clips(), 2.0, "cpu"), "video": pack(clips(2, 1), 1.0, "cpu")}
    blocks = {"ear": ("audio", 0, 2), "tone": ("audio", 2, 3), "eye": ("video", 0, 2)}
    return sequence_source(given, blocks, max_seconds, JOBS, None)


def test_packing_keeps_every_clip() -> None:
    packed = pack(clips(), 2.0, "cpu")
    assert packed.lengths_N.tolist() == LENGTHS
    for ours, theirs in zip(unpacked(packed), clips(), strict=True):
        np.testing.assert_array_equal(ours, np.zeros((0, 3)) if theirs is None else theirs)
    assert packed.clip_of_step.tolist() == [clip for clip, n in enumerate(LENGTHS) for _ in range(n)]


@pytest.mark.parametrize("max_seconds", [100.0, 2.5])
def test_a_batch_is_standardised_padded_and_masked(max_seconds: float) -> None:
    """By the mean and spread of the steps of each model's own clips."""
    rows = torch.tensor([[0, 1, 5], [3, 2, 2]])
    batch = source(max_seconds).batch(torch.tensor([0, 1]), rows)
    assert batch["present"].tolist() == [[[n > 0] * 2 for n in (4, 0, 9)], [[True] * 2] * 3]
    most = 5 if max_seconds == 2.5 else 9
    for model, job in enumerate(JOBS):
        given = clips()
        steps = np.concatenate([x for row in job.rows if (x := given[row]) is not None])
        for place, row in enumerate(rows[model].tolist()):
            x = given[row]
            expected = np.zeros((most, 3))
            length = 0 if x is None else min(len(x), most)
            if x is not None:
                expected[:length] = ((x - steps.mean(axis=0)) / steps.std(axis=0))[:length]
            np.testing.assert_allclose(batch["audio"][model, place], expected, atol=1e-5)
            assert batch["audio.valid"][model, place].tolist() == [step < length for step in range(most)]


def test_taking_away_and_shuffling() -> None:
    rows = torch.arange(6)[None]
    models = torch.tensor([0])
    without = source().changed(Change(without=frozenset({"video"}))).batch(models, rows)
    assert not without["present"][..., 1].any() and without["present"][0, 0, 0]
    order = torch.tensor([5, 0, 3, 1, 0, 2])
    plain = source().batch(models, rows)
    change = Change(shuffled=frozenset({"tone"}), columns=torch.tensor([0]), order=order)
    shuffled = source().changed(change).batch(models, rows)
    assert torch.equal(shuffled["audio"][..., :2], plain["audio"][..., :2]), (
        "only the columns that are asked for"
    )
    assert torch.equal(shuffled["video"], plain["video"])
    for clip in range(6):
        for step in range(LENGTHS[clip]):
            other = int(order[clip]) if LENGTHS[order[clip]] else clip
            theirs = plain["audio"][0, other, min(step, LENGTHS[other] - 1), 2]
            assert shuffled["audio"][0, clip, step, 2] == theirs, (clip, step)
        assert (shuffled["audio"][0, clip, LENGTHS[clip] :] == 0).all()


RATES = [1.0, 2.0, 5.0, 10.0, 12.5, 24.0, 25.0, 30.0, 49.0, 50.0]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(RATES),
    st.sampled_from(RATES),
    st.lists(st.integers(0, 60), min_size=1, max_size=4).filter(any),
)
def test_another_rate_is_the_mean_of_what_falls_together(
    from_hz: float, to_hz: float, lengths: list[int]
) -> None:
    """In exact fractions; at a higher rate every new step repeats the one that is under way."""
    given = [np.arange(1, n + 1, dtype=np.float32)[:, None] if n else None for n in lengths]
    ours = unpacked(resampled(pack(given, from_hz, "cpu"), to_hz))
    ratio = Fraction(to_hz) / Fraction(from_hz)
    for n, values in zip(lengths, ours, strict=True):
        if ratio > 1:
            expected = [int(step / ratio) + 1 for step in range(-int(-n * ratio // 1))]
        else:
            places = [int(step * ratio) for step in range(n)]
            expected = [
                np.mean([step + 1 for step in range(n) if places[step] == place])
                for place in sorted({*places})
            ]
        np.testing.assert_allclose(values[:, 0], expected, rtol=1e-6)


def test_side_by_side_repeats_the_last_step_and_leaves_gaps_for_what_is_missing() -> None:
    first, second = pack(clips(), 2.0, "cpu"), pack([*clips(2, 1)[1:], clips(2, 1)[0]], 2.0, "cpu")
    joined = unpacked(side_by_side([first, second]))
    for clip, (one, other) in enumerate(zip(unpacked(first), unpacked(second), strict=True)):
        assert len(joined[clip]) == max(len(one), len(other))
        for step, values in enumerate(joined[clip]):
            for columns, part in ((slice(0, 3), one), (slice(3, 5), other)):
                expected = (
                    part[min(step, len(part) - 1)]
                    if len(part)
                    else np.full(columns.stop - columns.start, np.nan)
                )
                np.testing.assert_array_equal(values[columns], expected)
