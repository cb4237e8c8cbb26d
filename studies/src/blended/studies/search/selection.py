"""Who wins, what that is worth, and whether it is noise: nested selection, and comparing two results by name.

For every reported fold k the configuration with the best inner score *for that fold* is chosen, and its
numbers on fold k are the study's headline: no label of fold k took part in that choice among trials. The
winner, one configuration for all folds, is chosen by its mean over inner folds, which together are all
folds: its own outer score is therefore "selected on these folds".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from optuna.trial import FrozenTrial

from blended.data import InputError, LabelSpace
from blended.eval import comparison
from blended.eval.comparison import Comparison, compare_all
from blended.eval.estimate import Basis, Estimate
from blended.eval.predictions import Predictions, read_predictions
from blended.studies.fold_numbers import HEADLINE, mean_numbers
from blended.studies.folders import Folders
from blended.studies.params import read_params
from blended.studies.search import progress, results
from blended.studies.search.objective import RESULT, SEED
from blended.studies.search.opening import join
from blended.studies.search.plan import Plan
from blended.studies.search.results import TrialStore
from blended.studies.search.storage import Place, open_storage

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True)
class FoldChoice:
    """What was chosen for one reported fold."""

    fold: int
    number: int
    """Of the trial."""
    inner: float
    """Its score on the inner fold: what it was chosen by."""
    outer: float
    """Its score on the reported fold, which no choice has seen."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The honest result of a study."""

    choices: tuple[FoldChoice, ...]
    estimates: dict[str, Estimate]
    """Measure -> mean over folds with its 95 % interval."""
    basis: Basis
    """What intervals are over."""


@dataclass(frozen=True, slots=True)
class Winner:
    """One configuration for all folds."""

    number: int
    params: dict[str, Any]
    inner: float
    """Mean over inner folds and seeds: what it was chosen by."""
    fresh: float | None
    """The same on fresh seeds, where there was a re-evaluation; then it was chosen by this."""
    estimates: dict[str, Estimate]
    """On the outer folds: selected on these folds."""
    identities: tuple[str, ...]


def headline(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> Headline:
    """Nested selection over all finished trials; raises InputError if there are none, and where they are of
    several versions of the corpus."""
    finished = _finished(plan, trials, store)
    choices = [best_for(fold, finished) for fold in _folds(finished)]
    by_number = {trial.number: trial for trial in finished}
    parts = [(choice.fold, predictions_of(by_number[choice.number], store)) for choice in choices]
    space = space_of(finished[0], store)
    joined = results.joined(parts)
    return Headline(tuple(choices), results.estimates(joined, space), results.basis(joined))


def winner(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> Winner:
    """The best of the re-evaluated, by their fresh seeds alone; without any, the best trial.

    Raises InputError as `headline` does.
    """
    finished = _finished(plan, trials, store)
    fresh = _fresh_scores(plan, trials)
    candidates = [trial for trial in finished if point(trial) in fresh] or finished
    best = max(
        candidates, key=lambda trial: (fresh.get(point(trial), progress.mean_score(trial)), -trial.number)
    )
    space = space_of(best, store)
    return Winner(
        number=best.number,
        params=best.params,
        inner=progress.mean_score(best),
        fresh=fresh.get(point(best)),
        estimates=results.estimates(predictions_of(best, store), space),
        identities=tuple(best.user_attrs[RESULT]["identities"]),
    )


def front(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that no other beats in both inner presence and inner salience, by falling presence.

    None of a task without blends.
    """
    finished = progress.complete(progress.searched(trials))
    means = {trial.number: inner_means(trial) for trial in finished}
    finished = [trial for trial in finished if "salience" in means[trial.number]]
    both = {number: (one["presence"], one["salience"]) for number, one in means.items() if "salience" in one}

    def beaten(trial: FrozenTrial) -> bool:
        p, s = both[trial.number]
        return any(q >= p and t >= s and (q, t) != (p, s) for q, t in both.values())

    return sorted((t for t in finished if not beaten(t)), key=lambda t: -both[t.number][0])


def by_group(
    trials: Sequence[FrozenTrial], store: TrialStore, setting: str, limit: int = 6
) -> list[tuple[str, FrozenTrial, Comparison | None]]:
    """The best trial for every value of a setting, by inner score, and the first's lead over each.

    Differences are on the outer folds and corrected together; the trials were selected on these folds.
    """
    best: dict[str, FrozenTrial] = {}
    for trial in progress.ranked(trials):
        if setting in trial.params:
            best.setdefault(str(trial.params[setting]), trial)
    groups = list(best.items())[:limit]
    if not groups:
        return []
    space = space_of(groups[0][1], store)
    judged = [results.answers(name, predictions_of(trial, store), space) for name, trial in groups]
    gaps = compare_all(judged, [(groups[0][0], name) for name, _ in groups[1:]])
    return [(name, trial, gap) for (name, trial), gap in zip(groups, [None, *gaps], strict=True)]


def predictions_of(trial: FrozenTrial, store: TrialStore) -> Predictions:
    """Of a finished trial; of its first seed where it has several."""
    return store.predictions(store.get(trial.user_attrs[RESULT]["identities"][0]))


def space_of(trial: FrozenTrial, store: TrialStore) -> LabelSpace:
    """The labels that a trial decides between."""
    return LabelSpace.from_dict(store.get(trial.user_attrs[RESULT]["identities"][0]).label_space)


def inner_means(trial: FrozenTrial) -> dict[str, float]:
    """Every measure, such as presence, salience and score: means over inner folds and seeds."""
    return mean_numbers([*progress.by_fold(trial, "inner").values()])


def point(trial: FrozenTrial) -> str:
    """The choices of a trial, the same for the same configuration."""
    return repr(sorted(trial.params.items()))


def _finished(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> list[FrozenTrial]:
    progress.check_one_corpus(plan, trials, store)
    finished = progress.ranked(trials)
    if not finished:
        raise InputError(
            f"study {plan.name!r} has no finished trial yet: see `blended study status {plan.name}`"
        )
    return finished


def _folds(finished: Sequence[FrozenTrial]) -> list[int]:
    return sorted(progress.by_fold(finished[0], "inner"))


def best_for(fold: int, finished: Sequence[FrozenTrial]) -> FoldChoice:
    """Among equals the earliest; looks at nothing but the inner score of that fold."""

    def score(trial: FrozenTrial, folds: Literal["inner", "outer"]) -> float:
        return progress.by_fold(trial, folds)[fold][HEADLINE]

    best = max(finished, key=lambda trial: (score(trial, "inner"), -trial.number))
    return FoldChoice(fold, best.number, score(best, "inner"), score(best, "outer"))


def _fresh_scores(plan: Plan, trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Choices -> mean inner score over fresh seeds."""
    found: dict[str, list[float]] = {}
    for trial in progress.complete(progress.reevaluated(trials)):
        if int(trial.user_attrs[SEED]) in plan.seeds:
            continue  # The same training again, of a study from before such seeds were refused.
        found.setdefault(point(trial), []).append(progress.mean_score(trial))
    return {key: sum(scores) / len(scores) for key, scores in found.items()}


def compare(first: str, second: str, root: Path, storage: str | None) -> Comparison:
    """First minus second, actor by actor.

    Either is `STUDY#NUMBER`, a study (its winner), or a recipe of params.yaml. Raises InputError for a name
    that is none of them, and for results of different clips.
    """
    a, space = _predictions(first, root, storage)
    b, other = _predictions(second, root, storage)
    if space != other:
        raise InputError(f"{first!r} and {second!r} decide between different labels: nothing to compare")
    return comparison.compare(results.answers(first, a, space), results.answers(second, b, space))


def _predictions(name: str, root: Path, storage: str | None) -> tuple[Predictions, LabelSpace]:
    study, _, number = name.partition("#")
    if not number and (found := _recipe(name, root)) is not None:
        return found
    place = Place(root, study)
    if not place.folder.is_dir():
        raise InputError(
            f"{name!r} is neither a study nor a recipe with a finished run: name STUDY#NUMBER, STUDY, RECIPE"
        )
    opened, plan = join(place, open_storage(place, storage))
    trials = opened.get_trials(deepcopy=False)
    store = TrialStore(place.trials(plan.params.corpus))
    if not number:
        number = str(winner(plan, trials, store).number)
    trial = _trial(name, number, trials)
    return predictions_of(trial, store), space_of(trial, store)


def _trial(name: str, number: str, trials: "list[FrozenTrial]") -> "FrozenTrial":
    finished = {trial.number: trial for trial in progress.complete(trials)}
    if not number.isdigit() or int(number) not in finished:
        known = ", ".join(map(str, sorted(finished)))
        raise InputError(f"{name!r}: no finished trial {number!r}; finished are {known or 'none yet'}")
    return finished[int(number)]


def _recipe(name: str, root: Path) -> tuple[Predictions, LabelSpace] | None:
    """Of a recipe's run on disk, if there is one."""
    from blended.data.index import read_index
    from blended.studies.run_files import ARTIFACTS, PREDICTIONS, read_record

    folders = Folders(root)
    corpus = read_params(folders.params).corpus
    folder = folders.run(corpus, name)
    if read_record(folder) is None:
        return None
    path = folder / ARTIFACTS / PREDICTIONS
    space = read_index(folders.index(corpus)).corpus.space
    return read_predictions(path, space), space
