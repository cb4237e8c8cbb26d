"""What makes two trainings, or two runs, the same: config, corpus, features and the code that computes.

Equal identities mean equal numbers, so whatever is stored under one is used again, and nothing else is.
"""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from blended.data.code_versions import Chosen, Sources, code_version
from blended.data.index import Index
from blended.data.labels import Task
from blended.data.store import FeatureStore
from blended.eval.measures import measures_of
from blended.fusion.objective import losses_of_objective
from blended.fusion.strategies import FUSIONS

if TYPE_CHECKING:
    from blended.studies.trial import TrialConfig

SAID = (
    "blended.data.code_versions",
    "blended.data.corpora",
    "blended.data.definitions",
    "blended.data.foreign",
    "blended.encoders.identity",
    "blended.encoders.table",
    "blended.studies.identity",
)
"""Modules that decide which data is read: what they did is in the identity of index and features already."""

OF_DECISIONS = (
    "blended.eval.calibration",
    "blended.eval.decisions",
    "blended.eval.normalisation",
    "blended.eval.protocol",
    "blended.studies.params",
    "blended.studies.trial",
)
"""What figures are drawn of, but not by."""

TRAINED = "blended.studies.trial:trained"
DECIDED = (
    "blended.studies.trial:run",
    "blended.studies.inner:inner_scores",
    # What becomes of them on disk, the temperature that new clips are answered with included.
    "blended.studies.pipeline:pipeline_record",
    "blended.studies.pipeline:write_pipeline",
    "blended.studies.runs:write_run",
)
EXPLAINED = ("blended.studies.explaining:explained", "blended.studies.predictors:named_predictors")
DRAWN = ("blended.studies.runs:drawn",)

ALWAYS_DECIDING = {"mixture": {"thresholds", "templates"}, "single": {"argmax"}, "intensities": set[str]()}
"""Task -> decisions that every run of it makes beside its own: the official one, and that of curves."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What each part of a run was made from; equal ones need not be made again."""

    identity: str
    """Of scores, decisions and numbers: SHA-256 over config, corpus, features and code."""
    training: str
    """Of the scores alone, before anything decides."""
    explanation: str
    """Code of what says what the models rely on."""
    figures: str
    """Code of what draws."""
    code: str
    """Of scores, decisions and numbers, whatever config and data were: for people who compare runs."""


def versions(config: "TrialConfig", index: Index, stores: Mapping[str, FeatureStore]) -> Versions:
    """Of a run that is made now."""
    task = index.corpus.space.task
    config = config.resolved(task)
    return Versions(
        identity=identity(config, index, stores),
        training=training_identity(config, index, stores),
        explanation=code_of_explanation(config, task),
        figures=code_of_figures(config.corpus),
        code=code_of_run(config, task),
    )


def code_of_run(config: "TrialConfig", task: Task) -> str:
    """Version of the code of scores, decisions and numbers."""
    return hashlib.sha256("".join(_codes(config.resolved(task), task)).encode()).hexdigest()[:12]


def _codes(config: "TrialConfig", task: Task) -> list[str]:
    return [code_of_training(config, task), code_of_decision(config, task)]


def identity(config: "TrialConfig", index: Index, stores: Mapping[str, FeatureStore]) -> str:
    """SHA-256 over everything that a trial's numbers depend on."""
    task = index.corpus.space.task
    config = config.resolved(task)
    return _hash([_settings(config), *_codes(config, task)], index, stores)


def training_identity(config: "TrialConfig", index: Index, stores: Mapping[str, FeatureStore]) -> str:
    """SHA-256 over everything that its scores depend on before anything decides: of trials that differ in
    nothing but the decision, the same."""
    from blended.studies.gathering import usable

    task = index.corpus.space.task
    config = config.resolved(task)
    settings = _settings(config)
    del settings["decision"]
    num_clips = len(usable(index.corpus, config.protocol).clips)
    return _hash([settings, num_clips, code_of_training(config, task)], index, stores)


def code_of_training(config: "TrialConfig", task: Task, sources: Sources | None = None) -> str:
    """Version of all that turns features into scores: gathering, strategy, losses, the training loop."""
    strategy = FUSIONS[config.fusion.name]
    roots = (TRAINED, strategy.reads.gather, strategy.fit, strategy.config)
    # Training hears of metrics through callables only, so no decision is part of it.
    without = (*SAID, "blended.eval")
    return code_version(roots, _chosen(config, task), without, sources)


def code_of_decision(config: "TrialConfig", task: Task, sources: Sources | None = None) -> str:
    """Version of all that turns scores into decisions and numbers, inner scores included."""
    without = (*SAID, "blended.fusion", TRAINED)
    return code_version(DECIDED, _chosen(config, task), without, sources)


def code_of_explanation(config: "TrialConfig", task: Task, sources: Sources | None = None) -> str:
    """Version of what says what the models rely on: importance, weights, the enrolment curve."""
    without = (*SAID, "blended.fusion")
    return code_version(EXPLAINED, _chosen(config, task), without, sources)


def code_of_figures(corpus: str, sources: Sources | None = None) -> str:
    """Version of what draws the figures of a run on a corpus, which may group its clips."""
    said = (name for name in SAID if name != "blended.data.corpora")
    without = (*said, *OF_DECISIONS, "blended.fusion")
    return code_version(DRAWN, {"blended.data.corpora:CORPORA": {corpus, "table"}}, without, sources)


def _chosen(config: "TrialConfig", task: Task) -> Chosen:
    """The entries of tables that a trial uses."""
    fusion, decision = config.fusion, config.decision
    losses = losses_of_objective(fusion.training.loss, task, has_states=fusion.training.scores == "set-ratio")
    return {
        "blended.fusion.strategies:FUSIONS": (),
        "blended.fusion.strategies:FusionConfig": (),
        "blended.fusion.strategies.cross_attention:KINDS": {str(getattr(fusion, "kind", ""))},
        "blended.fusion.objective:LOSSES": losses,
        "blended.eval.decisions:DECISIONS": {str(decision.name)} | ALWAYS_DECIDING[task],
        # Of the enrolment curve, which begins with none, as well.
        "blended.eval.normalisation:NORMALISATIONS": {decision.normalise, "none"},
        "blended.eval.calibration:CALIBRATIONS": {decision.calibrate},
        "blended.eval.tasks:TASKS": {task},
        "blended.eval.measures:MEASURES": {one.key for one in measures_of(task)},
    }


def _settings(config: "TrialConfig") -> dict[str, Any]:
    # Where a file lies says nothing: its hash is in the config too.
    places = {*FUSIONS[config.fusion.name].places}
    return config.model_dump(mode="json", exclude={"fusion": places} if places else None)


def _hash(parts: list[Any], index: Index, stores: Mapping[str, FeatureStore]) -> str:
    made = {name: store.identity.to_json() for name, store in stores.items()}
    whole = [*parts, index.corpus_hash, index.corpus.label_hash(), made]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Commit:
    """The state of the working tree."""

    sha: str
    """Empty outside a git checkout."""
    dirty: bool
    """Whether tracked files differ from the commit; dvc.lock does not count, the pipeline writes it."""


def git_commit(root: Path) -> Commit:
    """The checked-out commit below `root`."""
    sha = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)dvc.lock")
    return Commit(sha, bool(changed))


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False, timeout=30
        )
    except FileNotFoundError:  # git is not installed: provenance is then unknown, not wrong
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def dvc_hash(root: Path, output: Path) -> str:
    """The hash that dvc.lock has for an output; empty if the pipeline has not made it."""
    lock = root / "dvc.lock"
    if not lock.is_file():
        return ""
    stages = YAML(typ="safe").load(lock).get("stages", {})
    wanted = output.relative_to(root).as_posix()
    for stage in stages.values():
        for out in stage.get("outs", []):
            if out["path"] == wanted:
                return str(out["md5"])
    return ""
