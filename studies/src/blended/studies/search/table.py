"""Every trial of a study as a row, for other programs and for papers."""

from collections.abc import Callable, Sequence

from optuna.trial import FrozenTrial

from blended.eval.intervals import Estimate
from blended.eval.report.formats import Cell, Column, Scale, Table, to_csv, to_latex, to_markdown
from blended.studies.search import measuring, progress, selection
from blended.studies.search.objective import RESULT, SEED
from blended.studies.search.outcome import Outcome
from blended.studies.search.plan import Plan
from blended.studies.search.records import SELECTED, STATES
from blended.studies.search.trial_store import TrialStore

FORMATS: dict[str, Callable[[Table], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}


def trial_table(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> Table:
    """All trials by number; last, where there is one, the headline, which was chosen fold by fold."""
    settings = list(plan.study.dimensions)
    finished = progress.complete(trials)
    names = (
        [one.key for one in measuring.measures(selection.space_of(finished[0], store))] if finished else []
    )
    # Of a task without blends, the score alone.
    inner = [*selection.inner_means(finished[0])] if finished else ["score"]
    heads = ["trial", "state", "phase", *settings, *(f"inner {name}" for name in inner)]
    scales: dict[str, Scale] = {**dict.fromkeys(settings, "free"), "inner score": "rank"}
    columns = [Column(head, scale=scales.get(head, "share")) for head in (*heads, *names, "outer scores are")]
    rows = [_row(trial, settings, inner, names, store) for trial in progress.counted(trials)]
    if progress.ranked(trials):
        rows.append(_headline(plan, trials, store, [None] * (len(settings) + len(inner) - 1)))
    return Table(
        name=plan.name,
        caption=f"Trials of the study {plan.name} on {plan.params.corpus}. {plan.study.question}".strip(),
        columns=(*columns, Column("identities", long=True)),
        rows=tuple(tuple(row) for row in rows),
        warning=f"Outer scores of single trials are {SELECTED}; the last row is not.",
    )


def _row(
    trial: FrozenTrial,
    settings: Sequence[str],
    inner: Sequence[str],
    names: Sequence[str],
    store: TrialStore,
) -> list[Cell]:
    state = STATES.get(trial.state, trial.state.name.lower())
    phase = "re-evaluation" if SEED in trial.user_attrs else "search"
    row: list[Cell] = [f"#{trial.number}", state, phase, *(trial.params.get(path) for path in settings)]
    if not progress.complete([trial]):
        return [*row, *([None] * (len(inner) + len(names) + 2))]
    outcome = store.get(trial.user_attrs[RESULT]["identities"][0])
    measured = [_estimate(outcome, name) for name in names]
    identities = " ".join(trial.user_attrs[RESULT]["identities"])
    means = selection.inner_means(trial)
    return [*row, *map(means.get, inner), *measured, SELECTED, identities]


def _headline(
    plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore, nothing: Sequence[Cell]
) -> list[Cell]:
    nested = selection.headline(plan, trials, store)
    inner = sum(one.inner for one in nested.choices) / len(nested.choices)
    chosen = " ".join(f"{one.fold}:#{one.number}" for one in nested.choices)
    row: list[Cell] = ["per fold", "finished", "nested selection", *nothing, inner]
    return [*row, *nested.estimates.values(), "not selected on", chosen]


def _estimate(outcome: Outcome, name: str) -> Estimate | None:
    ends = [outcome.metrics.get(f"{name}{end}") for end in ("", "_low", "_high")]
    value, low, high = ends
    return None if value is None else Estimate(value, low, high)
