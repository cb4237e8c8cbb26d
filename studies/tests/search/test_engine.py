"""Trials of a study: exactly as many as asked for, none twice, none lost."""

import json
import math
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from studies.tests.search.conftest import GRID, PARAMS, SEARCH, MakeBench

from blended.data import InputError
from blended.data.checksums import read_sealed_json, write_sealed_json
from blended.studies.search import progress, report, selection
from blended.studies.search.objective import FAILURE, RESULT, SEED, values
from blended.studies.search.opening import join
from blended.studies.search.ray_search import ENDED, StudyScheduler, StudySearch
from blended.studies.search.results import Outcome
from blended.studies.search.space import all_points, to_params
from blended.studies.search.storage import open_storage
from toys.trials import ToyEvaluator, quality


def test_a_search_runs_its_budget_and_finds_the_best(bench: MakeBench) -> None:
    toy = bench()
    study = toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    trials = study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 12
    for trial in trials:
        config = toy.plan.config(dict(trial.params), 0)
        assert trial.value == pytest.approx(quality(config))
    best = progress.ranked(trials)[0]
    assert best.number == study.best_trial.number
    assert abs(math.log10(best.params["fusion.training.learning_rate"]) + 3) < 1


def test_one_worker_on_a_new_study_repeats_itself(bench: MakeBench) -> None:
    found = []
    for name in ("one", "two"):
        toy = bench(name=name)
        toy.start()
        # A study of its own, so that results of the first are not found.
        toy.worker(ToyEvaluator(toy.root), again=True).work()
        found.append([trial.params for trial in toy.trials()])
    assert found[0] == found[1]


def test_a_grid_is_every_combination_once(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    toy.start()  # A second `study run` adds nothing.
    toy.worker(ToyEvaluator(toy.root)).work()
    points = [tuple(trial.params.items()) for trial in toy.trials()]
    assert sorted(points) == sorted(
        tuple(to_params(point).items()) for point in all_points(toy.plan.study.dimensions)
    )
    assert len(points) == 6


def test_what_was_evaluated_is_not_evaluated_again(bench: MakeBench) -> None:
    first, second = bench(GRID, "first"), bench(GRID, "second")
    for toy in (first, second):
        toy.start()
        toy.worker(ToyEvaluator(toy.root)).work()
    assert len(first.evaluated()) == 6
    values = [sorted(trial.value or 0 for trial in toy.trials()) for toy in (first, second)]
    assert values[0] == values[1]
    third = bench(GRID, "third")
    third.start()
    third.worker(ToyEvaluator(third.root), again=True).work()
    assert len(first.evaluated()) == 12


def test_seeds_are_averaged(bench: MakeBench) -> None:
    toy = bench(GRID + "seeds: [3, 4]\n")
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    for trial in toy.trials():
        expected = [quality(toy.plan.config(dict(trial.params), seed)) for seed in (3, 4)]
        assert trial.value == pytest.approx(sum(expected) / 2)
        assert len(trial.user_attrs[RESULT]["identities"]) == 2


def test_the_best_are_evaluated_on_fresh_seeds(bench: MakeBench) -> None:
    toy = bench(GRID + "reevaluate: {top: 2, seeds: [7, 8]}\n")
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    trials = toy.trials()
    top = [trial.params for trial in progress.ranked(trials)[:2]]
    again = [(trial.params, trial.user_attrs[SEED]) for trial in progress.reevaluated(trials)]
    assert sorted(again, key=str) == sorted([(params, seed) for params in top for seed in (7, 8)], key=str)
    assert progress.next_step(toy.plan, trials) == "done"


def test_hopeless_trials_are_given_up(bench: MakeBench) -> None:
    text = SEARCH.replace(
        "pruner: none", "pruner: {name: median, startup_trials: 3, warmup_epochs: 1, every: 1}"
    )
    toy = bench(text)
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    states = [trial.state for trial in toy.trials()]
    assert states.count(TrialState.PRUNED) > 0
    assert len(states) == 12
    assert len(toy.evaluated()) == states.count(TrialState.COMPLETE)


def test_wilcoxon_spares_the_second_seed_of_a_bad_trial(bench: MakeBench) -> None:
    toy = bench(SEARCH.replace("pruner: none", "pruner: wilcoxon") + "seeds: [0, 1]\n")
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    trials = toy.trials()
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert pruned
    assert all(len(trial.intermediate_values) == 15 for trial in pruned), "fold x actor of one seed"
    assert len(toy.evaluated()) == 2 * (12 - len(pruned)) + len(pruned)


def test_two_objectives_give_a_front(bench: MakeBench) -> None:
    toy = bench(SEARCH.replace("pruner: none", "objective: [presence, salience]"))
    study = toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    assert len(study.directions) == 2
    assert all(len(trial.values or []) == 2 for trial in study.get_trials())
    assert study.best_trials


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2", "random"])
def test_every_sampler_proposes_valid_trials(bench: MakeBench, sampler: str) -> None:
    conditional = "  fusion.weights: {choice: [learned, equal], if: {fusion.name: late}}\n"
    text = SEARCH.replace("space:\n", "space:\n  fusion.name: {choice: [early, late]}\n" + conditional)
    text = text.replace("trials: 12", "trials: 6")
    toy = bench(text + f"sampler: {{name: {sampler}, startup_trials: 4}}\n")
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    trials = toy.trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    assert all(("fusion.weights" in t.params) == (t.params["fusion.name"] == "late") for t in trials)


def test_a_study_of_the_same_name_must_ask_the_same(bench: MakeBench) -> None:
    bench().start()
    bench().start()
    bench(SEARCH.replace("trials: 12", "trials: 20")).start()
    assert join(bench().place, open_storage(bench().place))[1].study.budget.trials == 20
    with pytest.raises(InputError, match=r"study 'toy' exists and was started with space = .* Rename"):
        bench(SEARCH.replace("1e-5", "1e-4")).start()


def test_only_what_a_study_uses_must_stay_as_it_was(bench: MakeBench, tmp_path: Path) -> None:
    toy = bench()
    toy.start()
    unused = PARAMS.replace("encoders:", "encoders:\n  motion: {}")
    more = unused + "  other:\n    fusion: {name: late, features: [motion]}\n"
    toy.with_params(tmp_path, more).start()
    changed = PARAMS.replace("prosody: {}", "prosody: {floor_hz: 80}")
    with pytest.raises(InputError, match=r"with the settings of prosody = \{\}, now it is .*floor_hz"):
        toy.with_params(tmp_path, changed).start()


def test_trials_on_other_labels_never_join_a_ranking(bench: MakeBench) -> None:
    """Of a study that was started before its corpus was written down, and of one that says it."""
    toy = bench(GRID)
    toy.start()
    toy.worker(ToyEvaluator(toy.root, corpus_hash="old" * 8)).work()
    assert selection.winner(toy.plan, toy.trials(), toy.store).number >= 0
    with pytest.raises(InputError, match=r"version of the corpus 'demo' \(oldoldoldold\) than newnewnewnew"):
        toy.of_corpus("new" * 8).start()
    toy.of_corpus("old" * 8).start()
    with pytest.raises(InputError, match=r"Rename the study file"):
        toy.of_corpus("new" * 8).start()


def test_a_study_that_mixed_labels_has_no_winner(bench: MakeBench) -> None:
    """As one that went on, before this was refused, after a correction: half of it is of other labels."""
    toy = bench(GRID + "seeds: [1]\n")
    toy.start()
    toy.worker(ToyEvaluator(toy.root, corpus_hash="old" * 8)).work()
    identity = toy.trials()[0].user_attrs[RESULT]["identities"][0]
    path = toy.store.path(identity) / "outcome.json"
    fields = json.loads(json.dumps(read_sealed_json(path)).replace("old" * 8, "new" * 8))
    write_sealed_json(path, fields)
    for ask in (selection.winner, selection.headline, report.trial_table):
        with pytest.raises(InputError, match=r"neither ranking nor winner would mean anything"):
            ask(toy.plan, toy.trials(), toy.store)


def test_a_value_that_is_no_number_fails_under_ray_too(bench: MakeBench) -> None:
    """Optuna refuses it, and Ray only logs that: the trial would run for ever."""
    toy = bench()
    study = toy.start()
    ended: list[FrozenTrial] = []
    search = StudySearch(toy.plan, study, "score", "max", ended.append)
    for name, values_ in (("one", {"score": math.nan}), ("two", {"score": 0.5})):
        search.suggest(name)
        search.on_trial_complete(name, {**values_, ENDED: True, RESULT: json.dumps({"identities": []})})
    first, second = toy.trials()
    assert (first.state, second.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert "nan" in first.user_attrs[FAILURE]["error"]
    assert [trial.state for trial in ended] == [first.state, second.state]


def test_trials_that_a_machine_loses_are_one_sentence(bench: MakeBench) -> None:
    toy = bench()
    said: list[str] = []
    search = StudySearch(toy.plan, toy.start(), "score", "max", print)
    scheduler = StudyScheduler(search, said.append)
    for _ in range(3):
        scheduler.on_trial_error(None, None)
    assert said == ["a node of the Ray cluster was lost, or what ran there was killed: its trials run again"]


def test_what_is_no_number_is_a_failure_with_its_reason(bench: MakeBench) -> None:
    """One of two objectives may be none where the score is one; nor may it come from a store."""
    toy = bench(SEARCH.replace("pruner: none", "objective: [presence, salience]"))
    nothing = {"presence": math.nan, "salience": 0.5, "score": 0.5}
    outcome = Outcome(identity="a", config={}, label_space={}, inner={0: nothing}, outer={0: nothing})
    with pytest.raises(InputError, match="inner presence is nan: its training diverged"):
        values(toy.plan, [outcome])


def test_a_stopped_study_ends_and_goes_on(bench: MakeBench) -> None:
    toy = bench()
    study = toy.start()
    study.set_user_attr(progress.STOPPED, True)
    toy.worker(ToyEvaluator(toy.root)).work()
    assert toy.trials() == []
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    assert len(toy.trials()) == 12


def test_an_unknown_study_is_answered_with_the_nearest(bench: MakeBench) -> None:
    toy = bench()
    toy.start()
    storage = open_storage(toy.place)
    with pytest.raises(InputError, match=r"unknown study 'toi': did you mean 'toy'\?"):
        join(type(toy.place)(toy.root, "toi"), storage)


def test_optuna_is_quiet(bench: MakeBench, capfd: pytest.CaptureFixture[str]) -> None:
    toy = bench()
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() >= optuna.logging.ERROR
