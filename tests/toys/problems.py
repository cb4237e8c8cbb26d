"""Toy corpora for tests of fusion: what each encoder knows is planted. Synthetic throughout."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from blended.data import LabelSpace, Mixture
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.run import Surroundings
from blended.fusion.sequences import Sequences, pack
from blended.fusion.strategies import FUSIONS
from blended.fusion.strategies.pooled import Concatenation, pooled_problem
from blended.fusion.training import Problem

OF_FEATURES = [name for name, strategy in FUSIONS.items() if strategy.reads.name != "media"]
"""Strategies that toy features are enough for; `toys.media` has toy clips for the others."""

TOY_NAMES = ("ang", "fea", "hap", "sad")
TOY_STATES = (
    *(Mixture.single(emotion) for emotion in TOY_NAMES),
    *(Mixture({"ang": share, "sad": 100 - share}) for share in (30, 50, 70)),
    *(Mixture({"fea": share, "hap": 100 - share}) for share in (30, 70)),
)
"""Two pairs, one of which has a ratio that the other has not."""
TOY_SPACE = LabelSpace(TOY_NAMES, states=TOY_STATES)
SINGLE_SPACE = LabelSpace(TOY_NAMES, task="single", states=TOY_STATES[:4])
INTENSITY_SPACE = LabelSpace(TOY_NAMES, task="intensities")

MODALITY_OF = {"ear": "audio", "eye": "video", "nothing": "video"}
KNOWN = {
    "ear": np.array([[2, 0], [-2, 0], [0, 2], [0, 2]]),
    "eye": np.array([[0, 2], [0, 2], [2, 0], [-2, 0]]),
    "nothing": np.zeros((4, 2)),
}
"""Encoder -> mean of its features per emotion: `ear` tells the first two apart, `eye` the last two."""


def quiet(message: str) -> None:
    """Takes a log message and says nothing."""
    assert message


QUIET = Surroundings(quiet)


def toy_inputs(
    seed: int = 0,
    noise: float | int = 1.0,
    num_folds: int = 4,
    per_fold: int = 30,
    num_test: int = 10,
    space: LabelSpace = TOY_SPACE,
    missing: Mapping[str, Bool[np.ndarray, "clip"]] | None = None,
    dim: int = 2,
) -> Inputs:
    """Clips of a label space, with three encoders as in `KNOWN`, `dim` columns each, the rest noise.

    Intensities are drawn evenly from [0, 1], and features rise with them. Rows of missing clips are 0.
    """
    rng = np.random.default_rng(seed)
    num_train = num_folds * per_fold
    targets = _targets(rng, space, num_train + num_test)
    features: dict[str, torch.Tensor] = {}
    for name, known in KNOWN.items():
        signal = np.pad(targets @ known, ((0, 0), (0, dim - 2)))
        x = torch.tensor(signal + noise * rng.normal(size=signal.shape), dtype=torch.float32)
        if missing is not None and name in missing:
            x[torch.from_numpy(missing[name])] = 0
        features[name] = x
    folds = np.repeat(np.arange(num_folds), per_fold)
    return Inputs(
        space=space,
        targets=torch.tensor(targets[:num_train], dtype=torch.float32),
        folds=folds,
        clips=tuple(f"clip{number}" for number in range(num_train + num_test)),
        actors=(*(f"{fold}{clip % 3}" for clip, fold in enumerate(folds)), *["t"] * num_test),
        modality_of=MODALITY_OF,
        features=features,
        sequences={name: _over_time(rng, x, (missing or {}).get(name)) for name, x in features.items()},
        missing=missing or {},
    )


def _over_time(
    rng: np.random.Generator, x_ND: Float[torch.Tensor, "clip dim"], missing: Bool[np.ndarray, "clip"] | None
) -> Sequences:
    """One to two seconds of steps around a clip's vector."""
    clips: list[np.ndarray | None] = []
    for number, vector in enumerate(x_ND.numpy()):
        steps = vector + 0.3 * rng.normal(size=(int(rng.integers(5, 11)), len(vector)))
        clips.append(None if missing is not None and missing[number] else steps)
    return pack(clips, 5.0, "cpu")


def _targets(
    rng: np.random.Generator, space: LabelSpace, num_clips: int
) -> Float[np.ndarray, "clip emotion"]:
    if space.task == "intensities":
        return rng.random((num_clips, len(space.emotions)))
    shares = np.array([space.target(state) for state in space.states])
    return shares[rng.integers(0, len(shares), num_clips)]


def toy_problem(
    training: TrainingConfig,
    names: Sequence[str] = ("ear", "eye"),
    inputs: Inputs | None = None,
    **options: Any,
) -> Problem:
    """Training on some encoders side by side; `options` go to `toy_inputs`."""
    given = toy_inputs(**options) if inputs is None else inputs
    return pooled_problem(given, names, "training", training, None, Concatenation)


def toy_config(name: str, training: TrainingConfig, **settings: Any) -> Any:
    """A config of any strategy for `ear` and `eye`, small where it can be."""
    config = FUSIONS[name].config
    small = {key: value for key, value in {"width": 4, "heads": 2}.items() if key in config.model_fields}
    given = {"name": name, "features": ("ear", "eye"), "training": training}
    return config.model_validate(given | small | settings)
