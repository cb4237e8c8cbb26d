"""Who wins, and what that is worth: nested selection.

For every reported fold k the configuration with the best inner score *for that fold* is chosen, and its
numbers on fold k are the study's headline: no label of fold k took part in that choice among trials. The
winner, one configuration for all folds, is chosen by its mean over inner folds, which together are all
folds: its own outer score is therefore "selected on these folds".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from blended.data import InputError, LabelSpace
from blended.eval.comparison import Comparison, compare_all
from blended.eval.intervals import Basis, Estimate
from blended.eval.predictions import Predictions
from blended.studies.search import measuring, progress
from blended.studies.search.objective import RESULT, SEED
from blended.studies.search.outcome import NUMBERS, mean_of
from blended.studies.search.plan import Plan
from blended.studies.search.trial_store import TrialStore

CORPUS_HASH = "corpus_hash"
"""The tag of an outcome that says which version of the corpus it is of."""


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
    joined = measuring.joined(parts)
    return Headline(tuple(choices), measuring.estimates(joined, space), measuring.basis(joined))


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
        estimates=measuring.estimates(predictions_of(best, store), space),
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
    judged = [measuring.answers(name, predictions_of(trial, store), space) for name, trial in groups]
    gaps = compare_all(judged, [(groups[0][0], name) for name, _ in groups[1:]])
    return [(name, trial, gap) for (name, trial), gap in zip(groups, [None, *gaps], strict=True)]


def predictions_of(trial: FrozenTrial, store: TrialStore) -> Predictions:
    """Of a finished trial; of its first seed where it has several."""
    return store.predictions(store.get(trial.user_attrs[RESULT]["identities"][0]))


def space_of(trial: FrozenTrial, store: TrialStore) -> LabelSpace:
    """The labels that a trial decides between."""
    return LabelSpace.from_dict(store.get(trial.user_attrs[RESULT]["identities"][0]).label_space)


def inner_means(trial: FrozenTrial) -> dict[str, float]:
    """Presence, salience and score, mean over inner folds and seeds; without blends the score alone."""
    rows = list(trial.user_attrs[RESULT]["inner"].values())
    found = {name: mean_of([row[place] for row in rows]) for place, name in enumerate(NUMBERS)}
    return {name: value for name, value in found.items() if value is not None}


def point(trial: FrozenTrial) -> str:
    """The choices of a trial, the same for the same configuration."""
    return repr(sorted(trial.params.items()))


def corpus_versions(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> set[str]:
    """The hashes of the corpus, labels and folds included, that finished trials are of.

    Of one whose result is not on this disk, nothing is known.
    """
    if plan.corpus_hash:
        return {plan.corpus_hash}
    finished = progress.complete(progress.counted(trials))
    found = [
        store.find(identity) for trial in finished for identity in trial.user_attrs[RESULT]["identities"]
    ]
    return {one.tags[CORPUS_HASH] for one in found if one is not None and CORPUS_HASH in one.tags}


def check_one_corpus(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> None:
    """Raises InputError for a study whose trials are of several versions of the corpus."""
    if len(versions := corpus_versions(plan, trials, store)) > 1:
        raise other_corpus(plan, *sorted(versions)[:2])


def other_corpus(plan: Plan, first: str, second: str) -> InputError:
    """What is said where trials on two versions of a corpus would stand in one ranking."""
    return InputError(
        f"study {plan.name!r} has trials on another version of the corpus {plan.params.corpus!r} "
        f"({first[:12]}) than {second[:12]}: labels, folds or clips have changed, so neither ranking nor "
        f"winner would mean anything. Rename the study file to ask anew, or bring the other version back"
    )


def _finished(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> list[FrozenTrial]:
    check_one_corpus(plan, trials, store)
    finished = progress.ranked(trials)
    if not finished:
        raise InputError(
            f"study {plan.name!r} has no finished trial yet: see `blended study status {plan.name}`"
        )
    return finished


def _folds(finished: Sequence[FrozenTrial]) -> list[int]:
    return sorted(int(fold) for fold in finished[0].user_attrs[RESULT]["inner"])


def best_for(fold: int, finished: Sequence[FrozenTrial]) -> FoldChoice:
    """Among equals the earliest; looks at nothing but the inner score of that fold."""
    key = str(fold)
    best = max(finished, key=lambda trial: (trial.user_attrs[RESULT]["inner"][key][2], -trial.number))
    numbers = best.user_attrs[RESULT]
    return FoldChoice(fold, best.number, numbers["inner"][key][2], numbers["outer"][key][2])


def _fresh_scores(plan: Plan, trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Choices -> mean inner score over fresh seeds."""
    found: dict[str, list[float]] = {}
    for trial in progress.complete(progress.reevaluated(trials)):
        if int(trial.user_attrs[SEED]) in plan.seeds:
            continue  # The same training again, of a study from before such seeds were refused.
        found.setdefault(point(trial), []).append(progress.mean_score(trial))
    return {key: sum(scores) / len(scores) for key, scores in found.items()}
