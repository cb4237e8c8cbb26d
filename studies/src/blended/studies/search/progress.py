"""Where a study stands: which trials count, what is to be done next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from optuna.trial import FrozenTrial, TrialState

from blended.data import InputError
from blended.studies.fold_numbers import HEADLINE, Numbers, mean_numbers, stored_numbers
from blended.studies.search.objective import FAILURE, RESULT, SEED, SURPLUS
from blended.studies.search.plan import Plan
from blended.studies.search.results import TrialStore

if TYPE_CHECKING:
    import optuna

Step = Literal["trial", "wait", "reevaluate", "done"]
PLAN, STOPPED = "plan", "stopped"
"""Attributes of a study in Optuna's storage."""
CORPUS_HASH = "corpus_hash"
"""The tag of an outcome that says which version of the corpus it is of."""
RETRIED = "retry_history"
"""Where Optuna's retry of dead workers' trials writes the numbers of the trials that one repeats."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Trials by state; those that were run again, or were one too many, do not count."""

    finished: int
    pruned: int
    failed: int
    running: int
    waiting: int
    budget: int | None
    """Trials in all; None where only time ends the search."""
    reevaluated: int


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that count: not those that a later one repeats because their worker died, nor surplus ones."""
    again = {number for trial in trials for number in trial.system_attrs.get(RETRIED, ())}
    return [trial for trial in trials if trial.number not in again and SURPLUS not in trial.user_attrs]


def searched(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials of the search itself, without re-evaluations on fresh seeds."""
    return [trial for trial in counted(trials) if SEED not in trial.user_attrs]


def reevaluated(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The best configurations on fresh seeds."""
    return [trial for trial in counted(trials) if SEED in trial.user_attrs]


def complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Those with a result."""
    return [trial for trial in trials if trial.state == TrialState.COMPLETE and RESULT in trial.user_attrs]


def budget(plan: Plan, trials: Sequence[FrozenTrial]) -> int | None:
    """Number of trials of the search."""
    return len(searched(trials)) if plan.study.is_exhaustive else plan.study.budget.trials


def counts(plan: Plan, trials: Sequence[FrozenTrial]) -> Counts:
    """For `study status`."""
    states = [trial.state for trial in searched(trials)]
    again = reevaluated(trials)
    running = [trial for trial in counted(trials) if trial.state == TrialState.RUNNING]
    return Counts(
        finished=states.count(TrialState.COMPLETE),
        pruned=states.count(TrialState.PRUNED),
        failed=states.count(TrialState.FAIL),
        running=len(running),
        waiting=sum(trial.state == TrialState.WAITING for trial in counted(trials)),
        budget=budget(plan, trials),
        reevaluated=len(complete(again)),
    )


def next_step(plan: Plan, trials: Sequence[FrozenTrial]) -> Step:
    """What a free worker does."""
    ours = counted(trials)
    if any(trial.state == TrialState.WAITING for trial in ours):
        return "trial"
    most = plan.study.budget.trials
    if not plan.study.is_exhaustive and (most is None or len(searched(trials)) < most):
        return "trial"
    if any(trial.state == TrialState.RUNNING for trial in ours):
        return "wait"
    return "reevaluate" if missing_reevaluations(plan, trials) else "done"


def is_surplus(plan: Plan, trials: Sequence[FrozenTrial], number: int) -> bool:
    """Whether two workers took the last trial at once and this is the one too many.

    Numbers are unique, so exactly the first ones stay, however many workers there are.
    """
    by_number = {trial.number: trial for trial in trials}
    trial = by_number[number]
    if "fixed_params" in trial.system_attrs or RETRIED in trial.system_attrs:
        return False
    if plan.study.is_exhaustive:
        return True
    most = plan.study.budget.trials
    return most is not None and sum(one.number < number for one in searched(trials)) >= most


def ranked(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Complete trials of the search by falling mean inner score; equal scores by number."""
    return sorted(complete(searched(trials)), key=lambda trial: (-mean_score(trial), trial.number))


def mean_score(trial: FrozenTrial, folds: Literal["inner", "outer"] = "inner") -> float:
    """Mean over folds and seeds."""
    return mean_numbers([*by_fold(trial, folds).values()])[HEADLINE]


def by_fold(trial: FrozenTrial, folds: Literal["inner", "outer"]) -> dict[int, Numbers]:
    """Reported fold -> the numbers of a finished trial on it, or on its inner fold; means over seeds."""
    kept: dict[str, Any] = trial.user_attrs[RESULT][folds]
    return {int(fold): stored_numbers(row) for fold, row in kept.items()}


def missing_reevaluations(plan: Plan, trials: Sequence[FrozenTrial]) -> list[tuple[dict[str, Any], int]]:
    """Stored choices and fresh seeds that are still to be run: the top k, each with every seed."""
    wanted = plan.study.reevaluate
    if wanted is None:
        return []
    have = {(_point(trial), trial.user_attrs[SEED]) for trial in reevaluated(trials)}
    distinct: dict[str, FrozenTrial] = {}
    for trial in ranked(trials):
        distinct.setdefault(_point(trial), trial)
    top = list(distinct.values())[: wanted.top]
    return [(t.params, seed) for t in top for seed in wanted.seeds if (_point(t), seed) not in have]


def _point(trial: FrozenTrial) -> str:
    """A trial's choices, also while it waits."""
    params = trial.params or trial.system_attrs.get("fixed_params", {})
    return repr(sorted(params.items()))


def failure(trial: FrozenTrial) -> dict[str, str]:
    """`error` and `traceback` of a failed trial."""
    unknown = {"error": "its worker died (killed, out of memory, or the machine went away)", "traceback": ""}
    return trial.user_attrs.get(FAILURE, unknown)


def is_stopped(study: "optuna.Study") -> bool:
    """Whether somebody asked the workers to end."""
    return bool(study.user_attrs.get(STOPPED))


def corpus_versions(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> set[str]:
    """The hashes of the corpus, labels and folds included, that finished trials are of.

    Of one whose result is not on this disk, nothing is known.
    """
    if plan.corpus_hash:
        return {plan.corpus_hash}
    finished = complete(counted(trials))
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
