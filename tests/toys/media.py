"""Toy clips for tests of networks that learn from pictures and sound: what each track knows is planted.

Synthetic throughout.
"""

from dataclasses import replace

import numpy as np

from blended.data import LabelSpace
from blended.encoders.networks.hicmae.config import BackboneConfig, StreamConfig
from blended.fusion.config import TrainingConfig
from blended.fusion.hicmae.finetuning import HiCMAEFusionConfig
from blended.fusion.inputs import MODALITY_OF, Inputs, Media
from toys.problems import KNOWN, SINGLE_SPACE, toy_inputs

TOY_BACKBONE = BackboneConfig(
    video=StreamConfig(size=(16, 16), in_chans=3, dim=16, num_heads=2, depth=3, patch_size=(8, 8)),
    audio=StreamConfig(size=(16, 16), in_chans=1, dim=16, num_heads=2, depth=3, patch_size=(8, 8)),
    num_frames=2,
    fusion_depth=1,
    fusion_num_heads=2,
)
TOY_TRAINING = TrainingConfig(
    learning_rate=3e-3, weight_decay=0.01, batch_size=20, max_epochs=12, modality_dropout=0.3, clip_norm=1.0
)


def toy_media(
    targets: np.ndarray, seed: int = 0, windows: int = 2, backbone: BackboneConfig = TOY_BACKBONE
) -> Media:
    """Clips whose pictures tell what the toy encoder `eye` knows, and whose sound what `ear` knows.

    The two halves of a picture are brighter or darker, as are the two halves of a spectrogram.
    """
    rng = np.random.default_rng(seed)
    side, (frames, bins) = backbone.video.size[0], backbone.audio.size
    count, steps = len(targets), backbone.num_frames
    pictures = rng.normal(0, 20, (count, windows, steps, side, side, 3))
    sound = rng.normal(0, 0.3, (count, windows, frames, bins))
    eye, ear = targets @ KNOWN["eye"], targets @ KNOWN["ear"]
    for half in range(2):
        here = slice(half * side // 2, (half + 1) * side // 2)
        pictures[..., here, :] += 40 * eye[:, None, None, None, half, None, None]
        there = slice(half * bins // 2, (half + 1) * bins // 2)
        sound[..., there] += 0.5 * ear[:, None, None, half, None]
    return Media(
        (pictures + 128).clip(0, 255).astype(np.uint8),
        sound.astype(np.float16),
        np.ones(count, dtype=bool),
        np.ones(count, dtype=bool),
        np.arange(count),
    )


def toy_media_inputs(
    space: LabelSpace = SINGLE_SPACE, per_fold: int = 20, num_test: int = 8, windows: int = 2
) -> Inputs:
    """Three folds of clips and some to test on, whose labels nobody is told."""
    given = toy_inputs(space=space, num_folds=3, per_fold=per_fold, num_test=num_test, noise=0.0)
    # Labels of the test clips are not among the targets, but what their features were made from is.
    ear, eye = (given.features[name].numpy()[given.num_train :] for name in ("ear", "eye"))
    likely = np.stack([ear @ KNOWN["ear"][e] + eye @ KNOWN["eye"][e] for e in range(4)], axis=1)
    of_test = np.eye(4)[likely.argmax(axis=1)]
    media = toy_media(np.concatenate([given.targets.double().numpy(), of_test]), windows=windows)
    return replace(given, features={}, sequences={}, missing={}, modality_of=MODALITY_OF, media=media)


def toy_hicmae(training: TrainingConfig = TOY_TRAINING, **settings: object) -> HiCMAEFusionConfig:
    """A config for toy clips."""
    given: dict[str, object] = {"size": TOY_BACKBONE, "windows": 2, "training": training}
    return HiCMAEFusionConfig.model_validate(given | settings)
