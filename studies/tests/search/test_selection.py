"""Nothing is chosen by what is reported; the winner is written so that it gives the same trial again."""

from pathlib import Path

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState
from studies.tests.search.conftest import GRID, PARAMS, MakeBench

from blended.data import InputError
from blended.studies.commands.study_tables import show_status
from blended.studies.params import Params, read_params
from blended.studies.search import measuring, progress, selection, table
from blended.studies.search.objective import RESULT, SEED
from blended.studies.search.records import SELECTED
from blended.studies.search.testing import ToyEvaluator
from blended.studies.search.winner_recipe import recipe_of, write_recipe
from blended.studies.search.wording import in_words
from blended.studies.trial import trial_config

NUMBERS = st.floats(0, 1, allow_nan=False)
ROWS = st.lists(
    st.tuples(st.tuples(NUMBERS, NUMBERS, NUMBERS), st.tuples(NUMBERS, NUMBERS, NUMBERS)), min_size=1
)


def frozen(number: int, inner: list[list[float]], outer: list[list[float]], **attributes: int) -> FrozenTrial:
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
        expected.append(measuring.fold_numbers(predictions, space)[choice.fold].score)
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
    made = table.trial_table(toy.plan, toy.trials(), toy.store)
    labels = [row[-2] for row in made.rows]
    assert labels == [SELECTED if row[1] == "finished" else None for row in made.rows[:-1]] + [
        "not selected on"
    ]
    for text in (table.FORMATS[form](made) for form in ("csv", "md", "tex")):
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
    made = table.trial_table(toy.plan, toy.trials(), toy.store)
    for form in ("csv", "md", "tex"):
        lines = table.FORMATS[form](made).splitlines()
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


def test_one_actor_a_fold_tells_nothing(bench: MakeBench) -> None:
    """Nothing is resampled then: an interval without width must not pass for certainty."""
    toy = bench(GRID)
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    best, *_, worst = progress.ranked(toy.trials())
    space = selection.space_of(best, toy.store)
    pair = [selection.predictions_of(trial, toy.store) for trial in (best, worst)]
    first = [pair[0].folds.index(fold) for fold in (0, 1, 2)]
    actors = {pair[0].actors[row] for row in first}
    rows = [row for row, actor in enumerate(pair[0].actors) if actor in actors]
    alone = [one.take(rows) for one in pair]
    assert measuring.difference("a", alone[0], "b", alone[1], space).p == 1.0
