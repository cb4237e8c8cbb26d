"""What a decision gains that is fitted on scores of models that saw the fold, and what strict nesting costs.

    python benchmarks/nesting.py planted [--corpora 20]    planted corpora (synthetic): against new people
    python benchmarks/nesting.py demo PROJECT              headlines of recipes, after `make repro` in PROJECT
    python benchmarks/nesting.py cost PROJECT [--repeats 3]  processor time of training, strict against plain

Planted: 5 folds of 4 people, 30 clips each, a linear head on 32 columns; people (or folds) show all states
alike or some of them, and features tell a little of the shares or nothing. The models and decisions of a fold
are also given the clips of 20 new people with such habits: a headline is flattered by what it is above that.
Intervals are t over corpora. Demo: both ways decide the same reported scores, compared actor by actor.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats

from blended.data import Corpus, Mixture, Scores
from blended.data.corpora.blemore import SPACE
from blended.data.index import read_index
from blended.data.store import FeatureStore
from blended.encoders.device import one_thread
from blended.eval.comparison import Answers, compare
from blended.eval.evaluation import Evaluation, evaluate
from blended.eval.evidence import Evidence, gather
from blended.eval.measures.blends import challenge_score
from blended.eval.protocol import Protocol, fit_decision
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.nested import Nested, train_nested
from blended.fusion.run import Surroundings
from blended.fusion.strategies.pooled import Concatenation, pooled_problem
from blended.fusion.strategy import Memory
from blended.studies import trial
from blended.studies.evaluating import fitted_on, undecided
from blended.studies.folders import Folders
from blended.studies.params import read_params

NUM_FOLDS, PER_FOLD, NEW, CLIPS, DIM = 5, 4, 20, 30, 32
DECISIONS = ("thresholds", "bayes", "set-ratio")
CONDITIONS: dict[str, tuple[float | None, int, float]] = {
    "folds unlike, features tell nothing": (0.2, PER_FOLD, 0.0),
    "people unlike, features tell nothing": (0.2, 1, 0.0),
    "people unlike, features tell a little": (0.2, 1, 2.0),
    "people alike, features tell nothing": (None, 1, 0.0),
    "people alike, features tell a little": (None, 1, 2.0),
}
"""Name -> how even habits are (None: all states as often), how many people have the same, and how much
features tell of shares."""
TRAINING = TrainingConfig(learning_rate=3e-3, max_epochs=30)
RECIPES = (
    "linear-motion",
    "mlp256-prosody",
    "early-all",
    "late-all",
    "early-all-actor",
    "cross-attention-actor",
)
QUIET = Surroundings(lambda _: None)


def planted_inputs(
    seed: int, habits: float | None, together: int, strength: float
) -> tuple[Inputs, list[Mixture]]:
    """A corpus whose test clips are of new people, with the truth of all clips."""
    rng = np.random.default_rng((seed, 5))
    people = NUM_FOLDS * PER_FOLD + NEW
    number = len(SPACE.states)
    even = np.full(number, 1 / number)
    drawn = [even if habits is None else rng.dirichlet(np.full(number, habits)) for _ in range(people)]
    shares = [drawn[person // together * together] for person in range(people)]
    states = np.concatenate([rng.choice(number, CLIPS, p=share) for share in shares])
    truth = [SPACE.states[state] for state in states]
    targets = np.array([SPACE.target(mixture) for mixture in truth])
    x = rng.normal(size=(len(truth), DIM))
    x[:, : targets.shape[1]] += strength * targets
    train = NUM_FOLDS * PER_FOLD * CLIPS
    return Inputs(
        space=SPACE,
        targets=torch.tensor(targets[:train], dtype=torch.float32),
        folds=np.repeat(np.arange(NUM_FOLDS), PER_FOLD * CLIPS),
        clips=tuple(f"c{clip}" for clip in range(len(truth))),
        actors=tuple(f"A{clip // CLIPS}" for clip in range(len(truth))),
        modality_of={"planted": "audio"},
        features={"planted": torch.tensor(x, dtype=torch.float32)},
    ), truth


def evidence_of(
    inputs: Inputs, rows: Sequence[int] | np.ndarray, values: Float[np.ndarray, "row emotion"]
) -> Evidence:
    """Of some clips; those of new people are fold 0."""
    names = tuple(inputs.clips[row] for row in rows)
    folds = [int(inputs.folds[row]) if row < inputs.num_train else 0 for row in rows]
    scores = Scores(names, SPACE.emotions, values, "probabilities")
    return gather([scores], [inputs.actors[row] for row in rows], folds, SPACE)


def headline(
    inputs: Inputs, truth: list[Mixture], nested: Nested, decision: str, *, strict: bool
) -> tuple[float, float]:
    """Mean over folds of the challenge score: on the fold, and on new people by its models and decision."""
    train, new = np.arange(inputs.num_train), np.arange(inputs.num_train, len(truth))
    told = nested.reported.predict_all(new)["emotions"]
    found: list[tuple[float, float]] = []
    for fold in range(NUM_FOLDS):
        fitting = nested.fitting["emotions"][fold] if strict else nested.out_of_fold["emotions"]
        given, held = evidence_of(inputs, train, fitting), inputs.folds == fold
        decider = fit_decision(given.take(~held), list(compress(truth, ~held)), Protocol(decision))
        judged = evidence_of(inputs, train, nested.out_of_fold["emotions"]).take(held)
        strangers = evidence_of(inputs, new, told[fold])
        here = challenge_score(list(compress(truth, held)), decider.decide(judged))
        found.append((here, challenge_score(truth[inputs.num_train :], decider.decide(strangers))))
    return tuple(np.mean(found, axis=0).tolist())


def planted(num_corpora: int) -> None:
    """The table of what is flattered."""
    print("| people, features | decision | plain - new people | strict - new people | plain - strict |")
    print("|---|---|---|---|---|")
    for name, planting in CONDITIONS.items():
        found: dict[str, list[tuple[float, float, float]]] = {decision: [] for decision in DECISIONS}
        for seed in range(num_corpora):
            inputs, truth = planted_inputs(seed, *planting)
            problem = pooled_problem(inputs, ["planted"], "training", TRAINING, None, Concatenation)
            nested = train_nested(
                problem, inputs.folds, len(inputs.clips), TRAINING, seed, QUIET, nesting="strict"
            )
            for decision in DECISIONS:
                plain = headline(inputs, truth, nested, decision, strict=False)
                strict = headline(inputs, truth, nested, decision, strict=True)
                found[decision].append((plain[0] - plain[1], strict[0] - strict[1], plain[0] - strict[0]))
        for decision, rows in found.items():
            cells = " | ".join(interval(np.array(column)) for column in zip(*rows, strict=True))
            print(f"| {name} | {decision} | {cells} |", flush=True)


def interval(values: Float[np.ndarray, "corpus"]) -> str:
    """Mean with its 95 % interval, t over corpora."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.4f} [{values.mean() - half:+.4f}, {values.mean() + half:+.4f}]"


def recipes_of(root: Path, wanted: Sequence[str]) -> Iterator[tuple[str, trial.TrialConfig]]:
    """Those that a project has."""
    params = read_params(root / "params.yaml")
    for recipe in wanted:
        if recipe in params.recipes:
            yield recipe, trial.trial_config(params, recipe).resolved("mixture")


class Project:
    """A project's corpus and features, read once."""

    def __init__(self, root: Path) -> None:
        """Reads the index."""
        self.folders, self.memory = Folders(root), Memory()
        self.index = read_index(self.folders.index("demo"))

    def trained(self, config: trial.TrialConfig) -> tuple[trial.Fused, float]:
        """Scores, and seconds of processor time that they took."""
        stores = {name: FeatureStore(self.folders.features("demo") / name) for name in config.encoders}
        given = (config, self.index, self.index.corpus, stores, QUIET, "cpu", self.folders.cache)
        started = time.process_time()
        fused = trial.trained(*given, self.memory)
        return fused, time.process_time() - started


def answers(corpus: Corpus, truth: list[Mixture], found: Evaluation) -> Answers:
    """What was decided, to be compared."""
    train = corpus.train
    return Answers(
        found.protocol.nesting,
        "mixture",
        truth,
        found.decided,
        tuple(clip.id for clip in train),
        np.array([clip.actor for clip in train]),
        np.array([clip.fold for clip in train]),
    )


def demo(root: Path, recipes: Sequence[str]) -> None:
    """Plain and strict headlines of the same scores."""
    project = Project(root)
    corpus = project.index.corpus
    truth = [clip.mixture for clip in corpus.train if clip.mixture is not None]
    print("| recipe | decision | plain | strict | plain - strict |")
    print("|---|---|---|---|---|")
    for recipe, config in recipes_of(root, recipes):
        fused, _ = project.trained(config.model_copy(update={"nesting": "strict"}))
        evidence = undecided(corpus.train, fused.out_of_fold, fused.states).evidence(SPACE)
        for decision in DECISIONS:
            rules = replace(config.protocol, decision=decision)
            plain = evaluate(evidence, truth, rules)
            strict = evaluate(evidence, truth, rules, fitted_on=fitted_on(corpus, fused))
            gap = compare(answers(corpus, truth, plain), answers(corpus, truth, strict)).score
            cells = f"{plain.measured['score']} | {strict.measured['score']} | {gap}"
            print(f"| {recipe} | {decision} | {cells} |", flush=True)


def cost(root: Path, recipes: Sequence[str], repeats: int) -> None:
    """Smallest processor time of some trainings of each kind, in turn, after features were read."""
    project = Project(root)
    print("| recipe | plain, s | strict, s | ratio |")
    print("|---|---|---|---|")
    for recipe, config in recipes_of(root, recipes):
        quick = config.fusion.training.model_copy(update={"max_epochs": 1})
        fusion = config.fusion.model_copy(update={"training": quick})
        project.trained(config.model_copy(update={"fusion": fusion}))
        seconds: dict[str, list[float]] = {"plain": [], "strict": []}
        for _ in range(repeats):
            said: list[Float[np.ndarray, "train emotion"]] = []
            for nesting, taken in seconds.items():
                fused, one = project.trained(config.model_copy(update={"nesting": nesting}))
                taken.append(one)
                said.append(fused.out_of_fold)
            # What is reported is the same to the bit.
            np.testing.assert_array_equal(said[0], said[1])
        plain, strict = (min(taken) for taken in seconds.values())
        print(f"| {recipe} | {plain:.2f} | {strict:.2f} | {strict / plain:.2f} |", flush=True)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("planted", "demo", "cost"))
    parser.add_argument("project", nargs="?", type=Path)
    parser.add_argument("--corpora", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    given = parser.parse_args()
    if given.what != "planted" and given.project is None:
        parser.error(f"{given.what} needs the folder of a project in which `make repro` has run")
    with one_thread():
        if given.what == "planted":
            planted(given.corpora)
        elif given.what == "demo":
            demo(given.project, given.recipes)
        else:
            cost(given.project, given.recipes, given.repeats)


if __name__ == "__main__":
    main()
