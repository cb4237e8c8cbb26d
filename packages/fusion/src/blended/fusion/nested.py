"""Training for k-fold evaluation without looking at the fold that is reported.

For every reported fold k the fold after it, j, is the inner fold. A *probe* trained without k and j is
watched on j and gives the number of epochs; its predictions for j, on actors it never saw, are what a
later stage may be fitted on (late weights). The *reported* model is then trained without k for that many
epochs. The *final* model trains on everything for the median number of epochs; it predicts the test
partition and new clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from blended.data import InputError
from blended.fusion.inputs import Inputs
from blended.fusion.training import Job, Log, Trained, TrainingConfig, train

MIN_FOLDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Nested:
    """What nested training of one feature matrix gives; probabilities throughout."""

    out_of_fold: Float[np.ndarray, "train emotion"]
    """Every training clip, by the model that did not train on its fold."""
    inner: Float[np.ndarray, "train emotion"]
    """Every training clip, by the probe of the fold before its own, which trained on neither."""
    test: Float[np.ndarray, "test emotion"]
    """Every test clip, by the final model."""
    epochs: dict[int, int]
    """Reported fold -> chosen number of epochs."""
    final_epochs: int
    final: Trained
    """The final model alone (M = 1)."""


def inner_fold(fold: int, folds: Sequence[int]) -> int:
    """The fold on which the model reported on `fold` chooses its epochs: the next one, cyclically."""
    return folds[(folds.index(fold) + 1) % len(folds)]


def model_seed(seed: int, fold: int) -> int:
    """A seed per model, independent of which other models are trained."""
    return int(np.random.SeedSequence((seed, fold + 1)).generate_state(1)[0])


def train_nested(
    x_ND: Float[Tensor, "clip dim"], inputs: Inputs, config: TrainingConfig, seed: int, log: Log
) -> Nested:
    """Probes, reported models and the final model of one feature matrix.

    Raises InputError for fewer than three folds: with two, nothing is left to train a probe on.
    """
    folds: list[int] = sorted(set(inputs.folds.tolist()))
    if len(folds) < MIN_FOLDS:
        raise InputError(
            f"nested training needs at least {MIN_FOLDS} folds, got {folds}: one is reported, one chooses "
            f"the number of epochs, the rest is trained on"
        )
    x_train = x_ND[: inputs.num_train]
    probes = train(x_train, inputs.targets, _probe_jobs(inputs.folds, folds, config, seed), config, log)
    epochs = {fold: int(np.argmin(loss)) + 1 for fold, loss in zip(folds, probes.watched_loss, strict=True)}
    final_epochs = round(float(np.median(list(epochs.values()))))
    jobs = [
        *(Job(np.flatnonzero(inputs.folds != fold), epochs[fold], model_seed(seed, fold)) for fold in folds),
        Job(np.arange(inputs.num_train), final_epochs, model_seed(seed, -1)),
    ]
    trained = train(x_train, inputs.targets, jobs, config, log)
    predicted, probed = trained.predict(x_ND), probes.predict(x_train)
    of_probe = {inner_fold(fold, folds): probed[model] for model, fold in enumerate(folds)}
    of_reported = {fold: predicted[model] for model, fold in enumerate(folds)}
    return Nested(
        out_of_fold=_by_fold(of_reported, inputs.folds),
        inner=_by_fold(of_probe, inputs.folds),
        test=predicted[-1, inputs.num_train :],
        epochs=epochs,
        final_epochs=final_epochs,
        final=_last(trained),
    )


def _probe_jobs(
    clip_folds: Int[np.ndarray, "train"],
    folds: Sequence[int],
    config: TrainingConfig,
    seed: int,
) -> list[Job]:
    jobs: list[Job] = []
    for fold in folds:
        inner = inner_fold(fold, folds)
        jobs.append(
            Job(
                rows=np.flatnonzero((clip_folds != fold) & (clip_folds != inner)),
                epochs=config.max_epochs,
                seed=model_seed(seed, fold),
                watched=np.flatnonzero(clip_folds == inner),
            )
        )
    return jobs


def _by_fold(
    predicted: dict[int, Float[np.ndarray, "clip emotion"]], clip_folds: Int[np.ndarray, "train"]
) -> Float[np.ndarray, "train emotion"]:
    """Row i from the prediction for the fold of clip i."""
    return np.stack([predicted[int(fold)][row] for row, fold in enumerate(clip_folds)])


def _last(trained: Trained) -> Trained:
    standardise = trained.standardise
    return Trained(
        {name: value[-1:].clone() for name, value in trained.parameters.items()},
        type(standardise)(standardise.mean_MD[-1:].clone(), standardise.spread_MD[-1:].clone()),
        trained.watched_loss[-1:],
    )
