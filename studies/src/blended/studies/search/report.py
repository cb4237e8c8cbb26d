"""What a study says: every trial as a row, and its page in MLflow with who won and by how much."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial
from pydantic import ValidationError

from blended.data import InputError, LabelSpace
from blended.data.checksums import DamagedError
from blended.data.digits import p_text
from blended.data.labels import Task
from blended.eval.comparison import Comparison
from blended.eval.estimate import Estimate
from blended.eval.report.formats import Cell, Column, Scale, Table, to_csv, to_latex, to_markdown
from blended.studies import identity, tracking
from blended.studies.fold_numbers import HEADLINE
from blended.studies.plans import trial_notes
from blended.studies.search import progress, results, selection, study_view
from blended.studies.search.figures import study_figures
from blended.studies.search.mlflow_runs import StudyRuns
from blended.studies.search.objective import RESULT, SEED
from blended.studies.search.plan import Plan
from blended.studies.search.records import SELECTED, STATES
from blended.studies.search.results import Outcome, TrialStore
from blended.studies.search.space import in_words, short_value
from blended.studies.trial import TrialConfig

if TYPE_CHECKING:
    import optuna

FORMATS: dict[str, Callable[[Table], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}


def trial_table(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> Table:
    """All trials by number; last, where there is one, the headline, which was chosen fold by fold."""
    settings = list(plan.study.dimensions)
    finished = progress.complete(trials)
    names = [one.key for one in results.measures(selection.space_of(finished[0], store))] if finished else []
    # A measure may be younger than the first trials.
    known = [name for trial in finished for name in selection.inner_means(trial)]
    inner = [*dict.fromkeys(known or [HEADLINE])]
    heads = ["trial", "state", "phase", *settings, *(f"inner {name}" for name in inner)]
    scales: dict[str, Scale] = {**dict.fromkeys(settings, "free"), "inner score": "rank"}
    columns = [Column(head, scale=scales.get(head, "share")) for head in (*heads, *names, "outer scores are")]
    rows = [_row(trial, settings, inner, names, store) for trial in progress.counted(trials)]
    if progress.ranked(trials):
        rows.append(_headline(plan, trials, store, len(settings), inner))
    return Table(
        name=plan.name,
        caption=f"Trials of the study {plan.name} on {plan.params.corpus}. {plan.study.question}".strip(),
        columns=(*columns, Column("identities", long=True)),
        rows=tuple(tuple(row) for row in rows),
        warning=" ".join(
            [
                f"Outer scores of single trials are {SELECTED}; the last row is not.",
                *code_notes(plan, trials, store),
            ]
        ),
    )


def code_notes(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> list[str]:
    """Sentences where finished trials were computed by different code or libraries, or it is not known.

    Of trials whose results are not on this disk, nothing is said.
    """
    codes: dict[str, str] = {}
    now: dict[str, str] = {}
    libraries: dict[str, dict[str, str]] = {}
    for trial in progress.complete(progress.counted(trials)):
        try:
            outcome = store.find(trial.user_attrs[RESULT]["identities"][0])
        except DamagedError:
            continue  # Said to whoever asks for its numbers.
        if outcome is None:
            continue
        name, task = f"#{trial.number}", LabelSpace.from_dict(outcome.label_space).task
        codes[name] = outcome.tags.get(tracking.CODE, "")
        if codes[name]:
            now[name] = _code_now(outcome, task)
            pairs = [one.rpartition(" ") for one in outcome.tags[tracking.LIBRARIES].split(", ")]
            libraries[name] = {library: version for library, _, version in pairs}
    return trial_notes(codes, now, libraries, plan.name)


def _code_now(outcome: Outcome, task: Task) -> str:
    try:
        return identity.code_of_run(TrialConfig.model_validate(outcome.config), task)
    except ValidationError:
        return ""  # Other code, which knew other settings.


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
    plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore, num_settings: int, names: Sequence[str]
) -> list[Cell]:
    nested = selection.headline(plan, trials, store)
    inner = sum(one.inner for one in nested.choices) / len(nested.choices)
    chosen = " ".join(f"{one.fold}:#{one.number}" for one in nested.choices)
    row: list[Cell] = ["per fold", "finished", "nested selection", *([None] * num_settings)]
    row += [inner if name == HEADLINE else None for name in names]
    return [*row, *nested.estimates.values(), "not selected on", chosen]


def _estimate(outcome: Outcome, name: str) -> Estimate | None:
    ends = [outcome.metrics.get(f"{name}{end}") for end in ("", "_low", "_high")]
    value, low, high = ends
    return None if value is None else Estimate(value, low, high)


Groups = list[tuple[str, FrozenTrial, Comparison | None]]
MAX_GROUPED = 3
"""Settings for which the note says which value is best."""


def publish(study: "optuna.Study", runs: StudyRuns) -> str:
    """Writes the parent run anew; returns the id of its experiment.

    Raises what MLflow raises if it does not answer.
    """
    from mlflow.entities import Metric, RunTag

    trials, plan, store = study.get_trials(deepcopy=False), runs.plan, runs.store
    client, experiment_id = runs.open()
    run_id = runs.parent(client, experiment_id)
    now = _last_moment(trials)
    metrics = [Metric(key, value, now, 0) for key, value in _metrics(plan, trials, store).items()]
    tags = {"mlflow.note.content": note(plan, trials, store), "state": _state(plan, trials)}
    client.log_batch(run_id, metrics=metrics, tags=[RunTag(*pair) for pair in tags.items()])
    _log_pictures(client, run_id, study, plan)
    study_view.provision(client, experiment_id, plan, runs.task)
    if progress.next_step(plan, trials) == "done":
        client.set_terminated(run_id, end_time=now)
    return experiment_id


def _log_pictures(client: Any, run_id: str, study: "optuna.Study", plan: Plan) -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        for name, picture in study_figures(study, plan).items():
            path = Path(folder) / name
            path.write_bytes(picture)
            client.log_artifact(run_id, str(path))


def _last_moment(trials: Sequence[FrozenTrial]) -> int:
    ended = [trial.datetime_complete for trial in trials if trial.datetime_complete]
    return round(max(ended).timestamp() * 1000) if ended else 0


def _state(plan: Plan, trials: Sequence[FrozenTrial]) -> str:
    return "finished" if progress.next_step(plan, trials) == "done" else "running"


def _metrics(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> dict[str, float]:
    """The headline under the plain names; the winner's numbers say what they are."""
    counts = progress.counts(plan, trials)
    values = {f"trials/{name}": float(getattr(counts, name)) for name in ("finished", "pruned", "failed")}
    if not counts.finished:
        return values
    nested, best = selection.headline(plan, trials, store), selection.winner(plan, trials, store)
    for key, estimate in nested.estimates.items():
        values |= tracking.with_ends(key, estimate)
    for choice in nested.choices:
        values[f"fold{choice.fold}/outer_score"] = choice.outer
        values[f"fold{choice.fold}/chosen_trial"] = float(choice.number)
    for key, estimate in best.estimates.items():
        values[f"selected_on_these_folds/{key}"] = estimate.value
    values["winner/inner_score"] = best.inner
    values["winner/trial"] = float(best.number)
    return values if best.fresh is None else {**values, "winner/inner_score_on_fresh_seeds": best.fresh}


def note(plan: Plan, trials: Sequence[FrozenTrial], store: TrialStore) -> str:
    """What a person reads first, in Markdown."""
    parts = [f"**{plan.study.question}**"] if plan.study.question else []
    counts = progress.counts(plan, trials)
    parts.append(f"{counts.finished} trials finished, {counts.pruned} given up, {counts.failed} failed.")
    if counts.finished:
        nested, best = selection.headline(plan, trials, store), selection.winner(plan, trials, store)
        groups = {path: _groups(path, trials, store) for path in _groupable(plan)}
        # First what is asked: MLflow folds long notes.
        parts += ["\n".join(f"- {_verdict(path, found)}" for path, found in groups.items() if len(found) > 1)]
        parts += [_headline_table(nested), _winner_line(best), *code_notes(plan, trials, store)]
        parts += [_group_table(path, found) for path, found in groups.items() if len(found) > 1]
    return "\n\n".join(part for part in parts if part)


def _headline_table(nested: selection.Headline) -> str:
    rows = [f"| {name} | {estimate} |" for name, estimate in nested.estimates.items()]
    chosen = ", ".join(f"fold {one.fold}: #{one.number}" for one in nested.choices)
    title = (
        "**Result of the study**, on outer folds that no choice among trials has seen: for every fold the "
        f"trial with the best score on its inner fold ({chosen})."
    )
    return "\n".join([title, "", "| measure | mean over folds [95 %] |", "|---|---|", *rows])


def _winner_line(best: selection.Winner) -> str:
    numbers = ", ".join(f"{name} {estimate}" for name, estimate in best.estimates.items())
    fresh = "" if best.fresh is None else f", {best.fresh:.3f} on fresh seeds"
    return (
        f"**Winner: trial #{best.number}** ({in_words(best.params)}), inner score {best.inner:.3f}{fresh}. "
        f"Its outer scores, {SELECTED}: {numbers}."
    )


def _groupable(plan: Plan) -> list[str]:
    """Settings with a few choices: for them one asks which is best."""
    dimensions = plan.study.dimensions.items()
    return [path for path, one in dimensions if one.choice and len(one.choice) > 1][:MAX_GROUPED]


def _groups(path: str, trials: Sequence[FrozenTrial], store: TrialStore) -> Groups:
    """The best trial per value of a setting, and the lead of the first over it."""
    try:
        return selection.by_group(trials, store, path)
    except InputError:  # A result lies on another machine's disk: the table can be made there.
        return []


def _verdict(path: str, groups: Groups) -> str:
    """`fusion.name: late leads early on inner folds; its lead on outer folds is ..., p = 0.210: noise`."""
    best, _, _ = groups[0]
    second, _, gap = groups[1]
    assert gap is not None
    said = "more than noise" if gap.distinguishable else "noise"
    best, second = short_value(best), short_value(second)
    return (
        f"**{path}: {best}** leads {second} on inner folds; its lead on outer folds is {gap.score}, "
        f"{p_text(gap.p_holm)}: **{said}**"
    )


def _group_table(path: str, groups: Groups) -> str:
    rows = [f"| {path} | best trial | inner score | outer score ({SELECTED}) | behind by [95 %] | p |"]
    rows.append("|---|---|---|---|---|---|")
    for name, trial, gap in groups:
        behind = str(gap.score) if gap else ""
        verdict = f"{p_text(gap.p_holm)}{'' if gap.distinguishable else ' (noise)'}" if gap else ""
        inner, outer = progress.mean_score(trial), progress.mean_score(trial, "outer")
        rows.append(
            f"| {short_value(name)} | #{trial.number} | {inner:.3f} | {outer:.3f} | {behind} | {verdict} |"
        )
    return "\n".join(rows)
