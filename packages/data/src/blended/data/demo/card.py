"""The data card that lies beside the clips."""

from collections.abc import Sequence

from blended.data.demo.config import GENERATOR, DemoConfig
from blended.data.demo.performance import VIDEO_RATE_HZ, Performance
from blended.data.demo.script import Take
from blended.data.demo.voice import AUDIO_RATE_HZ


def card(config: DemoConfig, takes: Sequence[Take], performances: Sequence[Performance]) -> str:
    """Markdown; the first line says that the corpus is synthetic."""
    train = [take for take in takes if take.split == "train"]
    test = [take for take in takes if take.split == "test"]
    seconds = [performance.num_frames / VIDEO_RATE_HZ for performance in performances]
    unvoiced = sum(not performance.is_voiced for performance in performances) / len(performances)
    settings = "\n".join(f"- {name}: {value}" for name, value in config.model_dump().items())
    return f"""\
**This corpus is synthetic: drawn faces and computed voices. Its numbers say nothing about people.**

# Demo corpus `{GENERATOR}`, seed {config.seed}

A measuring device in the shape of BLEMORE: it has the same labels, columns, partitions and difficulties
(identity dominates, very quiet sound, many unvoiced clips), and it is known what can be read from it.

## Contents

- `train/`: {len(train)} clips of {config.num_train_actors} actors in {config.num_folds} actor-disjoint folds,
  labels in `train_metadata.csv`
- `test/`: {len(test)} clips of {config.num_test_actors} other actor(s), labels in `apart/test_metadata.csv`
- {sum(take.mixture.is_blend for take in takes)} of {len(takes)} clips are blends; {unvoiced:.0%} are unvoiced
- {min(seconds):.2f} to {max(seconds):.2f} s per clip, {sum(seconds) / len(seconds):.2f} s on average,
  {sum(seconds) / 60:.1f} minutes in all
- H.264, {config.frame_px} x {config.frame_px}, {VIDEO_RATE_HZ} pictures per second;
  AAC, mono, {AUDIO_RATE_HZ} Hz

## How labels show

Every emotion has a pattern of facial movement, a kind of voice and a lag between the two; shares weigh all
three. Anger and disgust differ by the lag only, fear and sadness in the voice only, happiness and sadness
in the face only. `blended.data.demo.signatures` has the table, `ceiling.json` what an oracle reads from
the clean parameters of these clips: no model that decides clip by clip can be expected to score higher.

## Limits

Trained on it, nothing learns about human emotion, faces or voices. Use it to test and to compare methods
whose behaviour under known conditions is the question, and call every number derived from it synthetic.

## Settings

{settings}
"""
