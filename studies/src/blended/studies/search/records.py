"""From a trial in Optuna's storage to what MLflow will know of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, ConfigDict

from blended.studies.fold_numbers import mean_numbers
from blended.studies.search import progress, space
from blended.studies.search.objective import RESULT, SEED
from blended.studies.search.plan import Plan
from blended.studies.search.results import Curve, Outcome, TrialStore, together
from blended.studies.search.space import short_value
from blended.studies.tracking import flatten

STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
MAX_POINTS = 60
"""Of a curve in MLflow; the trial store has every epoch."""
SELECTED = "selected on these folds"
"""The label of every score that something was chosen by."""


class TrialRecord(BaseModel):
    """What MLflow will know of one trial."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    """Of results: their identity, so that a trial which was run twice arrives once; else the number."""
    study: str
    number: int
    state: Literal["finished", "pruned", "failed"]
    params: dict[str, str]
    """The whole configuration, flattened."""
    metrics: dict[str, float]
    curves: dict[str, Curve]
    """Metric -> values over epochs."""
    tags: dict[str, str]
    started_ms: int
    ended_ms: int
    traceback: str = ""


def key_of(trial: FrozenTrial) -> str:
    """The identity of a result; the number of a trial without one."""
    if trial.state == TrialState.COMPLETE and RESULT in trial.user_attrs:
        return together(list(trial.user_attrs[RESULT]["identities"]))
    return f"trial-{trial.number:06d}"


def record_of(plan: Plan, trial: FrozenTrial, store: TrialStore) -> TrialRecord:
    """Of a trial that has ended."""
    chosen = space.from_params(plan.study.dimensions, trial.params)
    outcomes: list[Outcome] = []
    if trial.state == TrialState.COMPLETE and RESULT in trial.user_attrs:
        found = [store.find(identity) for identity in trial.user_attrs[RESULT]["identities"]]
        outcomes = [one for one in found if one is not None]
    seeds = plan.seeds if SEED not in trial.user_attrs else (int(trial.user_attrs[SEED]),)
    state = STATES[trial.state]
    failure = progress.failure(trial) if state == "failed" else {"error": "", "traceback": ""}
    return TrialRecord.model_validate(
        {
            "key": key_of(trial),
            "study": plan.name,
            "number": trial.number,
            "state": state,
            "params": {**flatten(_config(plan, chosen, seeds)), "seeds": ", ".join(map(str, seeds))},
            "metrics": _metrics(trial, outcomes),
            "curves": _curves(trial, outcomes),
            "tags": _tags(trial, outcomes, chosen, failure["error"]),
            "started_ms": _milliseconds(trial.datetime_start),
            "ended_ms": _milliseconds(trial.datetime_complete),
            "traceback": failure["traceback"],
        }
    )


def _config(plan: Plan, chosen: space.Choices, seeds: Sequence[int]) -> dict[str, Any]:
    """As it was trained; of a trial that failed before it had one, the choices."""
    try:
        return plan.config(chosen, seeds[0]).model_dump(mode="json")
    except ValueError:
        return dict(chosen)


def _metrics(trial: FrozenTrial, outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Means over seeds: `inner/...` is what was chosen by, everything else is on outer folds."""
    if not outcomes:
        last = max(trial.intermediate_values, default=None)
        return {} if last is None else {"inner/score": trial.intermediate_values[last]}
    values: dict[str, float] = {}
    for name in set.intersection(*(set(one.metrics) for one in outcomes)):
        values[name] = sum(one.metrics[name] for one in outcomes) / len(outcomes)
    for part in ("inner", "outer"):
        folds = progress.by_fold(trial, part)
        for name, mean in mean_numbers([*folds.values()]).items():
            values[f"{part}/{name}"] = mean
            values |= {f"fold{fold}/{part}_{name}": row[name] for fold, row in folds.items()}
    return values


def _curves(trial: FrozenTrial, outcomes: Sequence[Outcome]) -> dict[str, Curve]:
    """Of the first seed; of a trial that was given up, what the pruner saw."""
    if not outcomes:
        return {"epochs/inner_score": dict(sorted(trial.intermediate_values.items()))}
    curves = {"epochs/inner_score": outcomes[0].curve}
    for fold, curve in outcomes[0].fold_curves.items():
        curves[f"fold{fold}/epochs_inner_score"] = curve
    return {name: _thinned(curve) for name, curve in curves.items() if curve}


def _thinned(curve: Curve) -> Curve:
    """Every second, third, ... epoch of a long curve, and its last: MLflow pays for each value."""
    every = -(-len(curve) // MAX_POINTS)
    epochs = list(curve)
    return {epoch: curve[epoch] for epoch in sorted({*epochs[::every], epochs[-1]})}


def _tags(
    trial: FrozenTrial, outcomes: Sequence[Outcome], chosen: space.Choices, error: str
) -> dict[str, str]:
    given = outcomes[0].tags if outcomes else {}
    where: dict[str, Any] = trial.user_attrs.get(RESULT, {})
    tags = {
        **given,
        **{name: str(where[name]) for name in ("device", "host", "git_commit", "git_dirty") if name in where},
        **{f"choice.{path}": short_value(space.label(value)) for path, value in chosen.items()},
        "identity": ", ".join(one.identity for one in outcomes),
        "inner_score_is": SELECTED,
        "phase": "re-evaluation" if SEED in trial.user_attrs else "search",
    }
    return {**tags, "error": error} if error else tags


def _milliseconds(moment: datetime | None) -> int:
    return round((moment or datetime.now()).timestamp() * 1000)
