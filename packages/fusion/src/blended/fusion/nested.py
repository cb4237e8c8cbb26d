"""Training for k-fold evaluation without looking at the fold that is reported.

For every reported fold k the fold after it, j, is the inner fold. A *probe* trained without k and j is
watched on j and gives the number of epochs, and the learning rate where several are given; its predictions
for j, on actors it never saw, are what a later stage may be fitted on (late weights). The *reported* model is
then trained without k for that many epochs. The *final* model trains on everything for the median number of
epochs; it predicts the test partition and new clips.

What decides for fold k is fitted on scores of the other folds. Under *strict* nesting those are of models
that saw no label of k either (`pairs`); under *plain* nesting they are those that the other folds report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.pairs import Choice, Nesting, Pairs, Predicted, groups_of, mean_recorded, num_models
from blended.fusion.plan import Job, inner_fold, model_seed
from blended.fusion.run import Surroundings
from blended.fusion.sources import Change
from blended.fusion.training import Problem, Trained, train

MIN_FOLDS = 3
FINAL = -1
"""In place of a fold, for the model that trains on all clips."""


@dataclass(frozen=True, slots=True, eq=False)
class Nested:
    """What nested training gives; probabilities, or intensities, throughout."""

    out_of_fold: Predicted
    """Every training clip, by the models that did not train on its fold."""
    inner: Predicted
    """Every training clip, by the probes of the fold before its own, which trained on neither."""
    test: Predicted
    """Every test clip, by the final model."""
    choices: dict[int, Choice]
    """By reported fold, and of the final model under `FINAL`."""
    reported: Trained
    """The models of the folds, and the final one if it is refitted."""
    fold_of_model: tuple[int, ...]
    """Which fold each model of `reported` is reported on."""
    clip_folds: Int[np.ndarray, "train"]
    fitting: Predicted = field(default_factory=Predicted)
    """[fold, clip, ...], folds sorted: what the decision of a fold is fitted on, beside its own clips as in
    `out_of_fold`; empty under plain nesting."""

    @property
    def final_models(self) -> tuple[int, ...]:
        """Places of the models that make up the final one."""
        refitted = tuple(place for place, fold in enumerate(self.fold_of_model) if fold == FINAL)
        return refitted or tuple(range(len(self.fold_of_model)))

    @property
    def final_state(self) -> dict[str, Tensor]:
        """Parameters and preparation of the final model, [model, ...]."""
        return self.reported.state(self.final_models)

    @property
    def clips_of_models(self) -> dict[int, Int[np.ndarray, "_"]]:
        """Place of a model -> the training clips of the fold that it is reported on."""
        return {
            place: np.flatnonzero(self.clip_folds == fold)
            for place, fold in enumerate(self.fold_of_model)
            if fold != FINAL
        }

    def changed(self, change: Change) -> Predicted:
        """`out_of_fold` with changed features."""
        return _of_own_folds(self.reported, self.fold_of_model, self.clip_folds, change)


def train_nested(
    problem: Problem,
    clip_folds: Int[np.ndarray, "train"],
    num_clips: int,
    config: TrainingConfig,
    seed: int,
    run: Surroundings,
    nesting: Nesting = "plain",
) -> Nested:
    """Probes, reported models and the final model of one problem.

    `num_clips` counts the test clips, which follow the training clips. Raises InputError for fewer than
    three folds: with two, nothing is left to train a probe on.
    """
    folds: list[int] = sorted(set(clip_folds.tolist()))
    if len(folds) < MIN_FOLDS:
        raise InputError(
            f"nested training needs at least {MIN_FOLDS} folds, got {folds}: one is reported, one chooses "
            f"the number of epochs, the rest is trained on"
        )
    strict = nesting == "strict"
    probe_jobs = _probe_jobs(clip_folds, folds, config, seed)
    if strict and _by_themselves(folds):
        probe_jobs = _recorded(probe_jobs, clip_folds, folds)
    probes = train(problem, probe_jobs, config, run.stage("probes"))
    choices = _choices(probes.watched_loss, folds, config)
    jobs, fold_of_model = _reported_jobs(clip_folds, folds, choices, config, seed)
    # What is reported needs no callback: it is over before anybody could learn from it.
    reported = train(problem, jobs, config, Surroundings(run.log, None, run.stage("reported").checkpoints))
    out_of_fold = _of_own_folds(reported, fold_of_model, clip_folds, None)
    inner = _of_inner_folds(probes, probe_jobs, choices, folds, config, len(clip_folds))
    nested = Nested(
        out_of_fold=out_of_fold,
        inner=inner,
        test={},
        choices=choices,
        reported=reported,
        fold_of_model=fold_of_model,
        clip_folds=clip_folds,
    )
    if strict:
        known = _known(probes, inner, choices, clip_folds, folds, config)
        pairs = Pairs(clip_folds, folds, choices, known)
        nested.fitting.update(_fitting(problem, pairs, out_of_fold, config, seed, run))
    test = _mean(reported, nested.final_models, np.arange(len(clip_folds), num_clips))
    nested.test.update(test)
    return nested


def _probe_jobs(
    clip_folds: Int[np.ndarray, "train"], folds: Sequence[int], config: TrainingConfig, seed: int
) -> list[Job]:
    """Fold by fold, rate by rate, repeat by repeat."""
    jobs: list[Job] = []
    for fold in folds:
        inner = inner_fold(fold, folds)
        rows = np.flatnonzero((clip_folds != fold) & (clip_folds != inner))
        watched = np.flatnonzero(clip_folds == inner)
        for rate in config.rates:
            jobs += [
                Job(rows, config.max_epochs, model_seed(seed, fold, repeat), rate, watched)
                for repeat in range(config.seeds)
            ]
    return jobs


def _by_themselves(folds: Sequence[int]) -> bool:
    """Whether probes are pairs: folds are left out one by one, not in groups."""
    return len(groups_of(folds)) == len(folds)


def _recorded(jobs: Sequence[Job], clip_folds: Int[np.ndarray, "train"], folds: Sequence[int]) -> list[Job]:
    """Probes that say after every epoch what they think of the fold that they are a probe of."""
    fold_of_job = np.repeat(folds, len(jobs) // len(folds))
    return [
        replace(
            job, recorded=np.flatnonzero(clip_folds == fold), recorded_epochs=tuple(range(1, job.epochs + 1))
        )
        for job, fold in zip(jobs, fold_of_job, strict=True)
    ]


def _known(
    probes: Trained,
    inner: Predicted,
    choices: Mapping[int, Choice],
    clip_folds: Int[np.ndarray, "train"],
    folds: Sequence[int],
    config: TrainingConfig,
) -> dict[tuple[int, int], Predicted]:
    """What probes said: for a fold of its inner fold, and for the inner fold of it, as far as they got."""
    found: dict[tuple[int, int], Predicted] = {}
    for number, fold in enumerate(folds if _by_themselves(folds) else ()):
        after = inner_fold(fold, folds)
        rows, choice = np.flatnonzero(clip_folds == after), choices[after]
        found[fold, after] = {kind: values[rows] for kind, values in inner.items()}
        first = (number * len(config.rates) + config.rates.index(choice.learning_rate)) * config.seeds
        said = mean_recorded(probes, range(first, first + config.seeds), choice.epochs - 1)
        if np.isfinite(said["emotions"]).all():
            found[after, fold] = said
    return found


def _fitting(
    problem: Problem,
    pairs: Pairs,
    out_of_fold: Predicted,
    config: TrainingConfig,
    seed: int,
    run: Surroundings,
) -> Predicted:
    """Trains the pairs that no probe stands in for, all at once."""
    asked, trained = pairs.asked, None
    if asked:
        seeds = {fold: [model_seed(seed, fold, one) for one in range(config.seeds)] for fold in pairs.folds}
        if not _by_themselves(pairs.folds):
            run.log(
                f"{len(pairs.folds)} folds: decisions are fitted on scores of {num_models(pairs.folds)} "
                f"models, each of which leaves out one or two of {len(pairs.groups)} groups of folds"
            )
        # Nobody is told: it is no training that choices are made on.
        untold = replace(run.stage("pairs"), on_epoch=None)
        trained = train(problem, pairs.jobs(asked, seeds), config, untold)
    return pairs.scores(out_of_fold, asked, trained)


def _choices(
    watched_loss: Float[np.ndarray, "M epoch"], folds: Sequence[int], config: TrainingConfig
) -> dict[int, Choice]:
    """Rate and epochs with the smallest mean loss over repeats; epochs count while all repeats go on."""
    losses = watched_loss.reshape(len(folds), len(config.rates), config.seeds, -1).mean(axis=2)
    choices: dict[int, Choice] = {}
    for fold, by_rate in zip(folds, losses, strict=True):
        rate, epoch = np.unravel_index(int(np.nanargmin(by_rate)), by_rate.shape)
        choices[fold] = Choice(int(epoch) + 1, config.rates[int(rate)])
    rates = [choice.learning_rate for choice in choices.values()]
    choices[FINAL] = Choice(
        round(float(np.median([choice.epochs for choice in choices.values()]))),
        max(config.rates, key=rates.count),
    )
    return choices


def _reported_jobs(
    clip_folds: Int[np.ndarray, "train"],
    folds: Sequence[int],
    choices: dict[int, Choice],
    config: TrainingConfig,
    seed: int,
) -> tuple[list[Job], tuple[int, ...]]:
    wanted = [*folds, FINAL] if config.final == "refit" else [*folds]
    jobs: list[Job] = []
    fold_of_model: list[int] = []
    for fold in wanted:
        rows = np.arange(len(clip_folds)) if fold == FINAL else np.flatnonzero(clip_folds != fold)
        for repeat in range(config.seeds):
            choice = choices[fold]
            jobs.append(Job(rows, choice.epochs, model_seed(seed, fold, repeat), choice.learning_rate))
            fold_of_model.append(fold)
    return jobs, tuple(fold_of_model)


def _of_own_folds(
    trained: Trained,
    fold_of_model: Sequence[int],
    clip_folds: Int[np.ndarray, "train"],
    change: Change | None,
) -> Predicted:
    """Every training clip by the models of its fold, on average."""
    rows_of_model = [np.flatnonzero(clip_folds == fold) for fold in fold_of_model if fold != FINAL]
    places = [place for place, fold in enumerate(fold_of_model) if fold != FINAL]
    return _scattered(trained, places, rows_of_model, len(clip_folds), change)


def _of_inner_folds(
    probes: Trained,
    jobs: Sequence[Job],
    choices: dict[int, Choice],
    folds: Sequence[int],
    config: TrainingConfig,
    num_train: int,
) -> Predicted:
    """Every training clip by the probes with the chosen learning rate that were watched on its fold."""
    fold_of_job = np.repeat(folds, len(config.rates) * config.seeds)
    places = [
        place
        for place, (job, fold) in enumerate(zip(jobs, fold_of_job, strict=True))
        if job.learning_rate == choices[int(fold)].learning_rate
    ]
    rows_of_model = [job.watched for place in places if (job := jobs[place]).watched is not None]
    return _scattered(probes, places, rows_of_model, num_train, None)


def _scattered(
    trained: Trained,
    places: Sequence[int],
    rows_of_model: Sequence[Int[np.ndarray, "_"]],
    num_train: int,
    change: Change | None,
) -> Predicted:
    """The mean per clip over the models that predict it."""
    width = max(len(rows) for rows in rows_of_model)
    padded = np.zeros((trained.num_models, width), dtype=np.int64)
    for place, rows in zip(places, rows_of_model, strict=True):
        padded[place, : len(rows)] = rows
    outputs = trained.predict(padded, change)
    counts = np.bincount(np.concatenate(rows_of_model), minlength=num_train)
    merged: Predicted = {}
    for key, values in outputs.items():
        total = np.zeros((num_train, *values.shape[2:]))
        for place, rows in zip(places, rows_of_model, strict=True):
            total[rows] += values[place, : len(rows)]
        merged[key] = total / counts[:, None]
    return merged


def _mean(trained: Trained, models: Sequence[int], rows: Int[np.ndarray, "_"]) -> Predicted:
    if not len(rows):
        return {}
    outputs = trained.predict_all(rows)
    return {key: values[list(models)].mean(axis=0) for key, values in outputs.items()}
