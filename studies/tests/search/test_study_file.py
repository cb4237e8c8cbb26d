"""Study files: what they mean, and what is said of a wrong one."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from studies.tests.search.conftest import Bench, MakeBench

from blended.data import InputError
from blended.studies.params import Params, read_params
from blended.studies.search.opening import start
from blended.studies.search.plan import Plan
from blended.studies.search.reading import read_study
from blended.studies.search.space import Dimension, all_points, from_params, label, probes, to_params
from blended.studies.search.storage import Place, open_storage
from toys.trials import ToyEvaluator

FULL = """\
question: Which?
base: both
space:
  fusion.name: {choice: [early, late]}
  fusion.weights: {choice: [learned, equal], if: {fusion.name: late}}
  fusion.training.learning_rate: {float: [1e-5, 1e-2], log: true}
  fusion.training.hidden: {int: [1, 8]}
  fusion.features: {choice: [[logmel], [logmel, prosody]]}
budget: {trials: 5, epochs: 7}
sampler: tpe
"""


def read(tmp_path: Path, params: Params, text: str) -> Plan:
    path = tmp_path / "which.yaml"
    path.write_text(text)
    return read_study(path, params)


def test_choices_make_the_trial_that_a_recipe_would(tmp_path: Path, params: Params) -> None:
    plan = read(tmp_path, params, FULL)
    chosen = {"fusion.name": "late", "fusion.weights": "equal", "fusion.features": ["logmel"]}
    config = plan.config({**chosen, "fusion.training.learning_rate": 1e-3}, seed=3)
    assert config.fusion.name == "late"
    assert config.fusion.training.learning_rate == 1e-3
    assert config.fusion.training.max_epochs == 7
    assert config.encoders == {"logmel": {}}
    assert config.seed == 3


def test_a_plan_survives_being_stored(tmp_path: Path, params: Params) -> None:
    plan = read(tmp_path, params, FULL)
    again = Plan.model_validate_json(plan.model_dump_json(by_alias=True, exclude_unset=True))
    assert again == plan
    assert again.base == plan.base
    assert again.study.prunes == plan.study.prunes == "median"


def test_every_value_is_shown_once_where_it_may_be(tmp_path: Path, params: Params) -> None:
    plan = read(tmp_path, params, FULL)
    shown = [(path, label(value)) for path, value, _ in probes(plan.study.dimensions)]
    assert ("fusion.weights", "equal") in shown
    assert len(shown) == len(set(shown)) == 2 + 2 + 2 + 2 + 2
    for _, _, chosen in probes(plan.study.dimensions):
        assert ("fusion.weights" in chosen) <= (chosen.get("fusion.name") == "late")


def test_recipes_and_a_grid_are_multiplied(tmp_path: Path, params: Params) -> None:
    text = """\
base: both
recipes:
  one: {fusion: {features: [logmel]}}
  other: {fusion: {name: late, features: [logmel, prosody], weights: equal}}
grid:
  fusion.training.hidden: {choice: [0, 256], if: {recipe: one}}
"""
    plan = read(tmp_path, params, text)
    configs = [plan.config(dict(point), 0) for point in all_points(plan.study.dimensions)]
    found = [(c.fusion.name, c.fusion.features, c.fusion.training.hidden) for c in configs]
    both = ("logmel", "prosody")
    assert found == [("early", ("logmel",), 0), ("early", ("logmel",), 256), ("late", both, 0)]
    assert plan.study.prunes == "none", "a table has no missing rows"


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    conditional=st.booleans(),
)
def test_a_grid_is_the_product_of_its_settings(sizes: list[int], conditional: bool) -> None:
    """Counted a second way: with a condition, the last setting multiplies one value of the first only."""
    space = {f"s{n}": Dimension(choice=tuple(range(size))) for n, size in enumerate(sizes)}
    if conditional and len(sizes) > 1:
        last = f"s{len(sizes) - 1}"
        space[last] = space[last].model_copy(update={"when": {"s0": 0}})
        middle = 1
        for size in sizes[1:-1]:
            middle *= size
        expected = middle * (sizes[-1] + (sizes[0] - 1))
    else:
        expected = 1
        for size in sizes:
            expected *= size
    points = all_points(space)
    assert len(points) == len({repr(point) for point in points}) == expected
    assert all(from_params(space, to_params(point)) == point for point in points)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("{trials: 5", "{trails: 5"),
            r"which.yaml:9: budget.trails: unknown setting: did you mean 'trials'\?",
        ),
        (("sampler: tpe", "sampler: tpee"), r":10: sampler.name: unknown value 'tpee': did you mean 'tpe'\?"),
        (("sampler: tpe", "pruner: {name: medain}"), r":10: pruner.name: .* did you mean 'median'\?"),
        (("learning_rate", "lerning_rate"), r":6: .* did you mean 'learning_rate'\?"),
        (("[1e-5, 1e-2]", "[-1, 1]"), r":6: .*log: true needs a range above 0, got -1"),
        (("[early, late]", "[early, latte]"), r":5: fusion.weights: .*'late': did you mean 'latte'\?"),
        (("if: {fusion.name: late}", "if: {fusion.nam: late}"), r":5: .* did you mean 'fusion.name'\?"),
        ((", if: {fusion.name: late}", ""), r":5: .*weights: unknown setting of that choice: say when"),
        (("[logmel, prosody]]", "[logmel, prosodi]]"), r":8: .*'prosodi': did you mean 'prosody'\?"),
        (("base: both", "base: bath"), r":2: base: unknown recipe 'bath': did you mean 'both'\?"),
        (("{int: [1, 8]}", "{int: [8, 1]}"), r":7: .*the range starts at 8 but ends at 1"),
        (("{int: [1, 8]}", "{int: [-8, 1]}"), r":7: .*greater than or equal to 0, got -8"),
        (("{int: [1, 8]}", "{int: [1, 8], choice: [1]}"), r":7: .*exactly one of choice"),
        (("budget: {trials: 5, epochs: 7}", ""), r"a search needs an end: give budget"),
        (("sampler: tpe", "sampler: grid"), r":6: .*range of floats or one in logarithms"),
        (("space:", "space: ["), r":\d+: not valid YAML"),
        (("question: Which?", "corpus: dem"), r":1: corpus: unknown corpus 'dem': did you mean 'demo'\?"),
        (
            ("sampler: tpe", "objective: [presence, salience]\npruner: median"),
            r"two objectives cannot be pruned",
        ),
        (("sampler: tpe", "objective: presence"), r":10: objective"),
        (
            ("sampler: tpe", "seeds: [1]\nreevaluate: {top: 1, seeds: [1]}"),
            r":11: reevaluate.seeds: .*must be fresh, but seeds has 1 too: .* Give others, such as 2",
        ),
        (
            ("sampler: tpe", "reevaluate: {top: 1, seeds: [3, 0]}"),
            r":10: reevaluate.seeds: .*must be fresh, but the base recipe has 0 too: .* such as 4",
        ),
        (("sampler: tpe", "grid: {seed: [1]}"), r"either space: .* or grid:"),
    ],
)
def test_a_mistake_is_answered_with_its_line(
    tmp_path: Path, params: Params, change: tuple[str, str], sentence: str
) -> None:
    assert change[0] in FULL
    with pytest.raises(InputError, match=sentence):
        read(tmp_path, params, FULL.replace(*change))


def test_a_missing_file_is_named(tmp_path: Path, params: Params) -> None:
    with pytest.raises(InputError, match=r"none.yaml does not exist: name a study file"):
        read_study(tmp_path / "none.yaml", params)


PYTHON = """\
from blended.studies.search.study_file import Study

RATES = [10.0**-exponent for exponent in (2, 3)]
study = Study(
    base="both",
    grid={"fusion.name": ["early", "late"], "fusion.training.learning_rate": RATES},
    budget={"epochs": 7},
)
"""


def read_python(folder: Path, params: Params, text: str) -> Plan:
    path = folder / "coded.py"
    path.write_text(text)
    return read_study(path, params)


def test_a_study_in_python_is_one_in_yaml(tmp_path: Path, params: Params, bench: MakeBench) -> None:
    rates = "{fusion.name: [early, late], fusion.training.learning_rate: [0.01, 0.001]}"
    written = bench(f"base: both\ngrid: {rates}\nbudget: {{epochs: 7}}\n", "written").plan
    plan = read_python(tmp_path, params, PYTHON)
    assert (plan.name, plan.study) == ("coded", written.study)
    as_dictionary = PYTHON.replace("Study(", "dict(")
    assert read_python(tmp_path, params, as_dictionary).study == written.study
    toy = Bench(Place(tmp_path, "coded"), plan)
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    assert len(toy.evaluated()) == 4


def test_the_code_of_a_study_is_a_part_of_it(tmp_path: Path, params: Params) -> None:
    place = Place(tmp_path, "coded")

    def started(text: str) -> None:
        start(place, read_python(tmp_path, params, text), open_storage(place))

    started(PYTHON)
    started("# A word on it.\n" + PYTHON.replace("budget={", 'question="Which?", budget={"trials": 3, '))
    with pytest.raises(InputError, match=r"'coded' exists and was started with the code of its file = "):
        started(PYTHON.replace("10.0**-exponent", "1 * 10.0**-exponent"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (('base="both"', 'base="bath"'), r"coded.py:5: base: unknown recipe 'bath': did you mean 'both'\?"),
        (("budget=", "buget="), r"coded.py:7: buget: unknown setting: did you mean 'budget'\?"),
        (('"late"]', '"latte"]'), r"coded.py:6: grid.fusion.name: 'latte': .* did you mean 'late'\?"),
        (("10.0**", "10.0//(exponent-2) + "), r"coded.py:3: ZeroDivisionError: "),
        (("study = Study(", "other = Study("), r"coded.py:1: expected study = Study\(...\), or a dictionary"),
        (("RATES = [", "RATES = [["), r"coded.py:\d+: not valid Python: "),
    ],
)
def test_mistakes_in_python_are_said_as_those_in_yaml(
    tmp_path: Path, params: Params, change: tuple[str, str], sentence: str
) -> None:
    assert change[0] in PYTHON
    with pytest.raises(InputError, match=sentence):
        read_python(tmp_path, params, PYTHON.replace(*change))


SHIPPED = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["demo", "decision", "fusion", "encoders"])
def test_shipped_studies_are_valid(name: str) -> None:
    plan = read_study(SHIPPED / f"{name}.yaml", read_params(SHIPPED.parent / "params.yaml"))
    assert plan.study.question


def test_the_published_table_is_complete(tmp_path: Path) -> None:
    """Eleven feature sets with three heads, and two more trained on windows."""
    text = (SHIPPED.parent / "params.yaml").read_text()
    names = ["clip", "imagebind-vision", "openface", "videomae2", "videoswin", "hubert-large", "wavlm-large"]
    imported = "".join(f"  {n}: {{source: x, settings: {{modality: video}}}}\n" for n in names)
    path = tmp_path / "params.yaml"
    known = text.replace("imported: {}", f"imported:\n{imported}")
    path.write_text(known.replace("  # blemore:\n  #   source:", "  blemore:\n    source:"))
    plan = read_study(SHIPPED / "paper_table.yaml", read_params(path))
    points = all_points(plan.study.dimensions)
    assert len(points) == 11 * 3 + 2
    heads = [plan.config(dict(point), 0).fusion.training.hidden for point in points]
    assert (heads.count(0), heads.count(256), heads.count(512)) == (11, 11, 11 + 2)


def test_a_choice_may_be_a_section(bench: MakeBench) -> None:
    """What is set inside it is set in this trial alone, and the budget holds for it too."""
    toy = bench(
        """\
base:
  fusion: {name: early, features: [logmel], training: {max_epochs: 50}}
space:
  fusion:
    choice:
      - &early {name: early, features: [logmel], training: {max_epochs: 90}}
      - &late {name: late, features: [logmel, prosody], training: {clip_norm: 1.0}}
  fusion.weights: {choice: [learned, equal], if: {fusion: *late}}
  fusion.training.learning_rate: {float: [1e-5, 1e-1], log: true}
budget: {trials: 8, epochs: 7}
pruner: none
"""
    )
    before = toy.plan.model_dump_json()
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    assert toy.plan.model_dump_json() == before
    names: set[str] = set()
    for trial in toy.trials():
        chosen = from_params(toy.plan.study.dimensions, trial.params)
        fusion = toy.plan.config(chosen, 0).fusion
        names.add(fusion.name)
        assert fusion.training.max_epochs == 7
        assert fusion.training.learning_rate == chosen["fusion.training.learning_rate"]
        assert ("fusion.weights" in chosen) == (fusion.name == "late")
        assert fusion.training.clip_norm == (1.0 if fusion.name == "late" else None)
    assert names == {"early", "late"}
