"""The shipped params.yaml, and what is wrong with others."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from blended.data import InputError
from blended.data.labels import Task
from blended.eval.protocol import Protocol
from blended.studies.corpus_params import read_corpus_params
from blended.studies.params import DecisionConfig, read_params
from blended.studies.trial import TrialConfig

SHIPPED = Path(__file__).parents[2] / "params.yaml"


def test_the_shipped_recipes_cover_each_kind() -> None:
    params = read_params(SHIPPED)
    assert params.corpus == "demo"
    heads = {recipe.fusion.training.hidden for recipe in params.recipes.values()}
    assert heads == {0, 256, 512}
    assert {recipe.fusion.name for recipe in params.recipes.values()} == {
        "early",
        "late",
        "cross-attention",
    }


def test_every_recipe_states_its_seed_so_that_dvc_can_set_it() -> None:
    """`dvc exp run -S recipes.NAME.seed=1` only overrides keys that are there."""
    text = SHIPPED.read_text()
    assert text.count("    seed: 0") - 1 == len(read_params(SHIPPED).recipes)


def test_every_choice_of_a_decision_is_in_its_protocol() -> None:
    chosen = DecisionConfig(
        name="bayes",
        normalise="actor",
        calibrate="isotonic",
        enrol_clips=12,
        enrol_minimum=3,
        presence_weight=0.25,
    )
    protocol = chosen.protocol(3, features_per_actor=True)
    expected = Protocol("bayes", "actor", "cross-fold", 3, True, "isotonic", 12, 0.25)
    assert protocol == replace(expected, enrol_minimum=3)
    assert {field.name for field in fields(Protocol)} - {
        "tune",
        "seed",
        "pretrained",
        "nesting",
        "features_per_actor",
        "decision",
    } == {*DecisionConfig.model_fields} - {"name"}


def test_a_record_of_before_is_read_in_the_words_of_now() -> None:
    record = {
        "corpus": "demo",
        "encoders": {},
        "fusion": {"name": "early", "features": ["logmel"]},
        "seed": 0,
    }
    old = {"name": "bayes", "calibrate": "actor", "probabilities": "vector"}
    read = TrialConfig.model_validate({**record, "decision": old})
    assert read.decision == DecisionConfig(name="bayes", normalise="actor", calibrate="vector")
    older = TrialConfig.model_validate({**record, "decision": {"name": "bayes", "calibrate": "none"}})
    assert older.decision == DecisionConfig(name="bayes")
    assert TrialConfig.model_validate(read.model_dump(mode="json")) == read


@pytest.mark.parametrize(
    ("task", "decision"), [("mixture", "set-ratio"), ("single", "argmax"), ("intensities", "identity")]
)
def test_labels_decide_how_is_decided_where_nothing_is_named(task: Task, decision: str) -> None:
    resolved = DecisionConfig(enrol_clips=2, normalise="actor").resolved(task)
    assert resolved == DecisionConfig(name=decision, enrol_clips=2, normalise="actor")
    assert resolved.protocol(0).decision == decision
    assert DecisionConfig(name="bayes").resolved(task).name == "bayes"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("corpus: demo", "corpus: blemor"), "did you mean 'blemore'"),
        (("  logmel: {}", "  logmell: {}"), "unknown encoder 'logmell': did you mean 'logmel'?"),
        (("  logmel: {}", "  logmel: {num_bins: -1}"), "num_bins"),
        (("imported: {}", "imported: {x: {source: y}}"), "imported.x.settings: modality"),
        (("name: set-ratio", "name: set-ration"), "did you mean 'set-ratio'?"),
        (("name: late,", "name: latte,"), "latte"),
        (("{name: set-ratio}", "{name: set-ratio, calibrate: vectr}"), "'raw', 'temperature', 'vector'"),
        (("{normalise: actor}", "{calibrate: actor}"), "`calibrate` per actor is called `normalise` now"),
        (("{normalise: actor}", "{probabilities: vector}"), "write calibrate: vector"),
        (("{name: set-ratio}", "{name: bayes, presence_weight: 2}"), "presence_weight: Input should be less"),
        (
            ("{name: set-ratio}", "{name: thresholds, presence_weight: 0.7}"),
            "changes nothing under 'thresholds'",
        ),
        (
            ("features: [logmel]}", "features: [logmel, logmel]}"),
            "'logmel' is named twice and would count twice",
        ),
        (("learning_rate: 1.0e-4", "learning_rate: -0.01"), "learning rates are above 0"),
        (("learning_rate: 1.0e-4", "learning_rate: []"), "learning rates are above 0"),
        (
            ("name: cross-attention\n", "name: cross-attention\n      heads: 5\n"),
            "cannot be shared out among 5 heads",
        ),
        (
            ("{name: set-ratio}", "{name: bayes, enrol_clips: 8}"),
            "recipes.audio-actor.decision: --enrol-clips 8 says what an actor is normalised from",
        ),
    ],
)
def test_a_wrong_choice_is_named(tmp_path: Path, change: tuple[str, str], sentence: str) -> None:
    text = SHIPPED.read_text()
    assert change[0] in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(*change))
    with pytest.raises(InputError) as error:
        read_params(path)
    assert sentence in str(error.value)


def test_the_choice_of_a_corpus_is_read_without_torch_and_complains_alike(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from blended.data import findings, index, measuring\n"
        "from blended.studies.commands import data\n"
        "from blended.studies.corpus_params import read_corpus_params\n"
        f"print(read_corpus_params(Path({str(SHIPPED)!r})).corpus)\n"
        "print(sorted({'torch', 'sklearn', 'scipy', 'mlflow'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["demo", "[]"]

    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text().replace("corpus: demo", "corpus: blemor"))
    said: list[str] = []
    for read in (read_corpus_params, read_params):
        with pytest.raises(InputError, match="did you mean 'blemore'") as error:
            read(path)
        said.append(str(error.value))
    assert said[0] == said[1]
