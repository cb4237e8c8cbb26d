"""Nothing is chosen by what is reported; the winner is written so that it gives the same trial again."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState
from studies.tests.search.conftest import GRID, PARAMS, Bench, MakeBench

from blended.data import InputError
from blended.data.checksums import read_sealed_json, write_sealed_json
from blended.data.corpora.blemore import SPACE as BLEMORE
from blended.eval.comparison import compare, holm, standings
from blended.eval.estimate import Basis
from blended.eval.evaluation import measure
from blended.eval.predictions import Predictions
from blended.eval.protocol import Protocol
from blended.eval.run_record import RunRecord
from blended.studies.commands.study_tables import show_status
from blended.studies.databases import contradicted_trials
from blended.studies.identity import code_of_run
from blended.studies.params import Params, read_params
from blended.studies.search import progress, report, results, selection
from blended.studies.search.objective import RESULT, SEED
from blended.studies.search.plan import recipe_of, write_recipe
from blended.studies.search.records import SELECTED
from blended.studies.search.space import in_words
from blended.studies.trial import trial_config
from toys.trials import ToyEvaluator

NUMBERS = st.floats(0, 1, allow_nan=False)
ROWS = st.lists(
    st.tuples(st.tuples(NUMBERS, NUMBERS, NUMBERS), st.tuples(NUMBERS, NUMBERS, NUMBERS)), min_size=1
)


Rows = list[list[float | int | None]]


def frozen(number: int, inner: Rows, outer: Rows, **attributes: int) -> FrozenTrial:
    trial = optuna.trial.create_trial(
        value=0.0,
        params={"x": number / 100},
        distributions={"x": FloatDistribution(0, 1)},
        user_attrs={
            RESULT: {
                "identities": [str(number)],
                "inner": {str(fold): row for fold, row in enumerate(inner)},
                "outer": {str(fold): row for fold, row in enumerate(outer)},
            },
            **attributes,
        },
    )
    trial.number = number
    return trial


@settings(deadline=None)
@given(rows=ROWS)
def test_each_fold_is_chosen_for_by_its_own_inner_score_alone(
    rows: list[tuple[tuple[float, ...], tuple[float, ...]]],
) -> None:
    """A plain second way; and other outer scores change no choice."""
    for outer_of in (lambda row: row[1], lambda row: tuple(1 - value for value in row[1])):
        trials = [
            frozen(n, [[0, 0, s] for s in row[0]], [[0, 0, s] for s in outer_of(row)])
            for n, row in enumerate(rows)
        ]
        for fold in range(3):
            choice = selection.best_for(fold, trials)
            scores = [row[0][fold] for row in rows]
            assert choice.number == scores.index(max(scores))
            assert choice.inner == max(scores)
            assert choice.outer == outer_of(rows[choice.number])[fold]


@settings(deadline=None)
@given(points=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    trials = [frozen(n, [[p, s, 0]], [[0, 0, 0]]) for n, (p, s) in enumerate(points)]
    front = {trial.number for trial in selection.front(trials)}
    for n, (p, s) in enumerate(points):
        beaten = any(q >= p and t >= s and (q > p or t > s) for q, t in points)
        assert (n in front) != beaten


def test_the_headline_joins_the_chosen_trials_predictions(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    nested = selection.headline(toy.plan, toy.trials(), toy.store)
    by_number = {trial.number: trial for trial in toy.trials()}
    space = selection.space_of(toy.trials()[0], toy.store)
    expected = []
    for choice in nested.choices:
        predictions = selection.predictions_of(by_number[choice.number], toy.store)
        expected.append(results.fold_numbers(predictions, space)[choice.fold]["score"])
    assert nested.estimates["score"].value == pytest.approx(sum(expected) / len(expected))


def test_fresh_seeds_alone_decide_among_the_re_evaluated(bench: MakeBench) -> None:
    toy = bench(GRID + "reevaluate: {top: 3, seeds: [7, 8]}\n")
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    trials = toy.trials()
    scores: dict[str, list[float]] = {}
    for trial in trials:
        if SEED in trial.user_attrs:
            scores.setdefault(selection.point(trial), []).append(trial.value or 0)
    best = max(scores, key=lambda point: sum(scores[point]))
    won = selection.winner(toy.plan, trials, toy.store)
    assert won.fresh == pytest.approx(sum(scores[best]) / 2)
    assert repr(sorted(won.params.items())) == best


def test_every_row_of_the_table_says_what_its_scores_are(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    toy.worker(ToyEvaluator(toy.root, fault="raise")).work()
    made = report.trial_table(toy.plan, toy.trials(), toy.store)
    labels = [row[-2] for row in made.rows]
    assert labels == [SELECTED if row[1] == "finished" else None for row in made.rows[:-1]] + [
        "not selected on"
    ]
    for text in (report.FORMATS[form](made) for form in ("csv", "md", "tex")):
        assert SELECTED in text


def test_settings_that_differ_look_different_everywhere(
    bench: MakeBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learning rates of 2.8e-4 and 1.1e-4 are not both 0.000: in exports, on 80 columns and in words."""
    monkeypatch.setenv("COLUMNS", "80")
    rates = (2.8e-4, 1.1e-4, 1.13e-4)
    grid = f"base: both\ngrid:\n  fusion.training.learning_rate: {[*rates]}\n"
    toy = bench(grid)
    study = toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    made = report.trial_table(toy.plan, toy.trials(), toy.store)
    for form in ("csv", "md", "tex"):
        lines = report.FORMATS[form](made).splitlines()
        found = [line for line in lines if line.lstrip("| \\").startswith("#")]
        assert len(found) == 3
        for rate, line in zip(rates, found, strict=True):
            assert f"{rate:g}" in line, (form, line)
    show_status(study, toy.plan, watch=False)
    shown = capsys.readouterr().out
    assert all(f"{rate:g}" in shown for rate in rates)
    assert max(map(len, shown.splitlines())) <= 80
    assert [in_words(trial.params) for trial in toy.trials()] == [f"learning_rate {rate:g}" for rate in rates]


def test_no_finished_trial_is_said_in_a_sentence(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    with pytest.raises(InputError, match=r"study 'toy' has no finished trial yet"):
        selection.winner(toy.plan, toy.trials(), toy.store)


def test_the_winner_is_written_and_nothing_else_changes(
    tmp_path: Path, params: Params, bench: MakeBench
) -> None:
    chosen = {"fusion.name": "late", "fusion.training.hidden": 64}
    config = bench(GRID).plan.config(chosen, 5)
    path = tmp_path / "params.yaml"
    assert write_recipe(path, "won", config)
    text = path.read_text()
    assert [line for line in PARAMS.splitlines() if line not in text.splitlines()] == [], "comments are kept"
    assert trial_config(read_params(path), "won") == config
    assert not write_recipe(path, "won", config), "nothing to change"
    with pytest.raises(InputError, match=r"already has another recipe 'both': give the winner a name"):
        write_recipe(path, "both", config)


@settings(deadline=None)
@given(rate=st.floats(1e-9, 1, allow_nan=False), hidden=st.integers(0, 512))
def test_a_recipe_keeps_every_digit(rate: float, hidden: int) -> None:
    from blended.studies.params import Recipe
    from blended.studies.trial import TrialConfig

    training = {"learning_rate": rate, "hidden": hidden}
    recipe = Recipe.model_validate({"fusion": {"name": "early", "features": ["a"], "training": training}})
    config = TrialConfig(corpus="demo", encoders={}, fusion=recipe.fusion, decision=recipe.decision, seed=1)
    again = Recipe.model_validate(recipe_of(config))
    assert (again.fusion, again.decision, again.seed) == (config.fusion, config.decision, config.seed)


def test_states_are_counted(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    counts = progress.counts(toy.plan, toy.trials())
    assert (counts.waiting, counts.finished, counts.budget) == (6, 0, 6)
    toy.worker(ToyEvaluator(toy.root, fault="raise")).work()
    counts = progress.counts(toy.plan, toy.trials())
    assert (counts.waiting, counts.finished, counts.failed, counts.running) == (0, 4, 2, 0)
    assert {trial.state for trial in toy.trials()} == {TrialState.COMPLETE, TrialState.FAIL}


def guesses(seed: int, num_actors: int) -> Predictions:
    """Ten clips of every actor, who is a fold, answered at random."""
    rng = np.random.default_rng(seed)
    num_clips = 10 * num_actors
    shares = rng.dirichlet(np.ones(6), size=num_clips)
    people = [number // 10 for number in range(num_clips)]
    states = BLEMORE.states
    return Predictions(
        clip_ids=tuple(map(str, range(num_clips))),
        actors=tuple(f"A{number}" for number in people),
        folds=tuple(people),
        probabilities=shares,
        decided=tuple(states[number] for number in rng.integers(0, len(states), num_clips)),
        truth=tuple(states[number % len(states)] for number in range(num_clips)),
    )


def record(name: str, given: Predictions) -> RunRecord:
    """The same as a run of a report."""
    truth, folds = [one for one in given.truth if one], np.array(given.folds)
    evaluation = measure(given.evidence(BLEMORE), truth, [*given.decided], Protocol("thresholds"))
    actors = np.array(given.actors)
    return RunRecord(name, "linear", ("a",), ("audio",), truth, given.clip_ids, actors, folds, evaluation)


def test_guesses_left_out_one_by_one_are_noise_for_studies_and_report_alike() -> None:
    """Six folds of one actor: the report once said 0.051 [0.051, 0.051], p 0.0002, and a study p 1.0."""
    apart = 0
    for seed in range(0, 100, 2):
        one, other = guesses(seed, 6), guesses(seed + 1, 6)
        found = compare(results.answers("a", one, BLEMORE), results.answers("b", other, BLEMORE))
        low, high = found.score.ends or (0, 0)
        assert high - low > 0.02
        apart += found.distinguishable
        shown = standings([record("a", one), record("b", other)]).between("a", "b")
        assert (shown.differences, shown.p) == (found.differences, found.p)
        assert results.estimates(one, BLEMORE)["score"] == record("a", one).headline
    assert apart <= 7, "of 50, at a rate of 5 %"


def test_one_actor_in_all_is_told_apart_from_nothing() -> None:
    one, other = (replace(guesses(seed, 2), actors=("A0",) * 20) for seed in (0, 1))
    found = compare(results.answers("a", one, BLEMORE), results.answers("b", other, BLEMORE))
    assert (found.p, found.score.ends) == (1.0, None)
    assert str(results.basis(one)) == str(found.basis) == str(Basis(1, 2))


def test_leads_of_a_setting_are_one_family(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    groups = selection.by_group(toy.trials(), toy.store, "fusion.name")
    gaps = [gap for _, _, gap in groups if gap]
    assert len(gaps) == len(groups) - 1
    assert [gap.p_holm for gap in gaps] == holm([gap.p for gap in gaps])


def with_code(toy: Bench, number: int, code: str, libraries: str = "numpy 2.0") -> None:
    """As if a trial had been computed by that version of the code."""
    path = toy.store.path(toy.trials()[number].user_attrs[RESULT]["identities"][0]) / "outcome.json"
    fields = read_sealed_json(path)
    tags = {"code": code, "libraries": libraries} if code else {}
    write_sealed_json(path, {**fields, "tags": {**fields["tags"], **tags}})


def test_tables_say_when_trials_are_of_different_code(bench: MakeBench) -> None:
    """Not where all are of one, whatever is here now: they compare with each other."""
    toy = bench(GRID)
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()

    def said() -> list[str]:
        return report.code_notes(toy.plan, toy.trials(), toy.store)

    assert said() == [], "all of before trials said what made them"
    configs = [toy.plan.config(dict(trial.params), 0) for trial in toy.trials()]
    for number, config in enumerate(configs):
        with_code(toy, number, code_of_run(config, "mixture"))
    assert said() == []
    with_code(toy, 3, "another")
    (sentence,) = said()
    assert sentence.startswith("Computed from different versions of the code, so that their numbers do not")
    assert "that of now (#0, #1, #2, #4, #5), another (#3): " in sentence
    assert sentence in report.trial_table(toy.plan, toy.trials(), toy.store).warning
    assert sentence in report.note(toy.plan, toy.trials(), toy.store)
    for number in range(6):
        with_code(toy, number, "another")
    assert said() == []
    with_code(toy, 5, "a third", "numpy 1.9")
    first, second = said()
    assert "a third (#5): " in first and "that of now" not in first
    assert "numpy 1.9 (#5) and 2.0 (" in second


def test_results_of_before_are_read_and_say_the_same(bench: MakeBench) -> None:
    """Lists in Optuna's storage, and nulls in outcomes, for what a task did not have."""
    toy = bench(GRID)
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    trials = toy.trials()
    now, best = report.trial_table(toy.plan, trials, toy.store), selection.winner(toy.plan, trials, toy.store)
    with closing(sqlite3.connect(toy.place.folder / "study.db")) as database, database:
        query = "SELECT trial_user_attribute_id, value_json FROM trial_user_attributes WHERE key = 'result'"
        for ident, text in database.execute(query).fetchall():
            kept = json.loads(text)
            for part in ("inner", "outer"):
                kept[part] = {fold: [*row.values()] for fold, row in kept[part].items()}
            change = "UPDATE trial_user_attributes SET value_json = ? WHERE trial_user_attribute_id = ?"
            database.execute(change, (json.dumps(kept), ident))
    trials = toy.trials()
    assert isinstance(trials[0].user_attrs[RESULT]["inner"]["0"], list)
    assert report.trial_table(toy.plan, trials, toy.store).rows == now.rows
    assert selection.winner(toy.plan, trials, toy.store) == best
    assert contradicted_trials(toy.place.folder / "study.db", toy.store.folder) == []

    single = frozen(0, [[None, None, 0.25], [None, None, 0.75]], [[None, None, 0.5]] * 2)
    assert selection.inner_means(single) == {"score": 0.5} and selection.front([single]) == []
    path = toy.store.path(trials[0].user_attrs[RESULT]["identities"][0]) / "outcome.json"
    fields = read_sealed_json(path)
    alone = {fold: {**row, "presence": None, "salience": None} for fold, row in fields["inner"].items()}
    write_sealed_json(path, {**fields, "inner": alone})
    assert [*toy.store.get(fields["identity"]).mean_inner] == ["score"]
    nothing = {fold: {**row, "score": None} for fold, row in fields["inner"].items()}
    write_sealed_json(path, {**fields, "inner": nothing})
    assert toy.store.find(fields["identity"]) is None
