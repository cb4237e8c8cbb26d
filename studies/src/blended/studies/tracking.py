"""Every training as one MLflow run. MLflow is imported here, in `models.py` and in `pyfunc_model.py` only."""

import os
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from blended.data import Clip, Corpus
from blended.data.code_versions import library_versions
from blended.data.labels import Task
from blended.eval.estimate import Estimate
from blended.eval.evaluation import Evaluation
from blended.eval.tasks import TASKS
from blended.studies import saved_view
from blended.studies.identity import Commit, Versions
from blended.studies.run_files import CONFUSION
from blended.studies.trial import TrialResult

MAX_PARAM_CHARACTERS = 6000
"""MLflow refuses longer values."""


def default_uri(root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or a SQLite store below `root`; absolute, or each folder gets its own."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / 'mlflow' / 'mlflow.db').resolve()}"


def open_experiment(uri: str, name: str, root: Path, task: Task = "mixture") -> str:
    """The id of an experiment, made if it is not there, with a view that ranks by the task's headline.

    Several processes that open a database before it exists all migrate it and break it, so the first
    opening is under a file lock.
    """
    from mlflow import MlflowClient

    folder = root / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "open.lock"):
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        local = uri.startswith("sqlite:")
        location = (folder / "artifacts").resolve().as_uri() if local else None
        made = str(client.create_experiment(name, artifact_location=location))
        client.set_experiment_tag(made, saved_view.TAG, saved_view.view_tag(task))
        return made


def log_trial(
    result: TrialResult,
    *,
    versions: Versions,
    recipe: str,
    experiment: str,
    uri: str,
    root: Path,
    artifacts: Sequence[Path],
    figures: Mapping[str, bytes],
    baselines: Mapping[str, Evaluation],
    commit: Commit,
    data_hash: str,
    device: str,
    seconds: float,
) -> str:
    """Logs a trial as one finished run, with PNGs by name, and returns its id."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    experiment_id = open_experiment(uri, experiment, root, result.corpus.space.task)
    client = MlflowClient(tracking_uri=uri)
    tags = _tags(result, recipe, commit, data_hash, device) | code_tags(versions.code)
    tags["training_identity"] = versions.training
    now = int(time.time() * 1000)
    started = now - round(seconds * 1000)
    run = client.create_run(experiment_id, run_name=recipe, tags=tags, start_time=started)
    run_id = str(run.info.run_id)
    values = {**_metrics(result), **_baseline_metrics(baselines), "seconds": seconds}
    client.log_batch(
        run_id,
        metrics=[Metric(key, value, now, 0) for key, value in values.items()],
        params=[Param(key, value) for key, value in flatten(result.config.model_dump(mode="json")).items()],
        tags=[RunTag("mlflow.note.content", _note(result))],
    )
    _log_dataset(client, run_id, result.corpus, data_hash)
    for path in artifacts:
        client.log_artifact(run_id, str(path))
    _log_figures(client, run_id, figures)
    client.set_terminated(run_id)
    return run_id


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `fusion.training.hidden`.

    >>> flatten({"fusion": {"features": ["a", "b"], "hidden": 0}})
    {'fusion.features': 'a, b', 'fusion.hidden': '0'}
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            flat[f"{prefix}{key}"] = text[:MAX_PARAM_CHARACTERS]
    return flat


def _tags(result: TrialResult, recipe: str, commit: Commit, data_hash: str, device: str) -> dict[str, str]:
    return {
        "recipe": recipe,
        "identity": result.identity,
        "corpus": result.corpus.name,
        "corpus_hash": result.corpus_hash,
        "dvc_hash": data_hash,
        "synthetic": str(result.corpus.synthetic).lower(),
        "modalities": "+".join(result.modalities),
        "strategy": result.config.strategy,
        "features": ", ".join(result.config.fusion.features),
        "protocol": result.cross_fold.protocol.label,
        "transductive": str(result.cross_fold.protocol.transductive).lower(),
        "git_commit": commit.sha,
        "git_dirty": str(commit.dirty).lower(),
        "device": device,
        "seed": str(result.config.seed),
    }


def _metrics(result: TrialResult) -> dict[str, float]:
    """Means with interval ends, then folds as `fold0/...`; the optimistic figures under their own name."""
    values = _named("", result.cross_fold.measured)
    if result.in_fold is not None:
        values |= _named("in_fold_optimistic/", result.in_fold.measured)
    for fold in result.cross_fold.folds:
        numbers = {**fold.numbers, **fold.parameters}
        values |= {f"fold{fold.fold}/{name}": value for name, value in numbers.items()}
    # MLflow allows no @ in a name, which features of chosen layers have (wavlm-base@6-12).
    values |= {f"fitted/{name}".replace("@", ":"): value for name, value in result.fused.fitted.items()}
    return values


def _named(prefix: str, estimates: Mapping[str, Estimate]) -> dict[str, float]:
    named: dict[str, float] = {}
    for name, estimate in estimates.items():
        named |= with_ends(f"{prefix}{name}", estimate)
    return named


def with_ends(name: str, estimate: Estimate) -> dict[str, float]:
    """The value and, where there is an interval, its ends: `score`, `score_low`, `score_high`."""
    ends = {} if estimate.ends is None else {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {name: estimate.value, **{key: end for key, end in ends.items() if end is not None}}


def _baseline_metrics(baselines: Mapping[str, Evaluation]) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, evaluation in baselines.items():
        values |= {f"baselines/{name}_{key}": one.value for key, one in evaluation.measured.items()}
    return values


def _note(result: TrialResult) -> str:
    warning = (
        "**Synthetic corpus: these numbers say nothing about people.**\n\n" if result.corpus.synthetic else ""
    )
    shown = TASKS[result.corpus.space.task].measures
    numbers = ", ".join(f"{one.words} {result.cross_fold.measured[one.key]}" for one in shown)
    return (
        f"{warning}{result.cross_fold.protocol.label}; means over {len(result.cross_fold.folds)} folds, "
        f"{result.cross_fold.basis.sentence}: {numbers}."
    )


CODE, LIBRARIES = "code", "libraries"
"""Tags of runs and trials: which code and libraries computed them; they may differ for that alone."""


def code_tags(code: str) -> dict[str, str]:
    """Of what is computed now by a version of the code."""
    libraries = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    return {CODE: code, LIBRARIES: libraries}


STALE = "stale"
"""The tag of tracked runs that are not what would be computed now."""


def mark_stale(run_ids: Collection[str], current_ids: Collection[str], uri: str) -> list[str]:
    """Tags runs of the first kind, and takes the tag from those of the second; those that are not tracked
    there are returned."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client, unknown = MlflowClient(tracking_uri=uri), list[str]()
    for run_id in sorted({*run_ids, *current_ids}):
        try:
            tagged = STALE in client.get_run(run_id).data.tags
        except MlflowException:
            unknown.append(run_id)
            continue
        if run_id in run_ids:
            client.set_tag(run_id, STALE, "computed from other code, settings, features or labels")
        elif tagged:
            client.delete_tag(run_id, STALE)
    return unknown


def replace_figures(run_id: str, figures: Mapping[str, bytes], uri: str) -> None:
    """Figures drawn anew, in place of those of a run that was tracked."""
    from mlflow import MlflowClient

    _log_figures(MlflowClient(tracking_uri=uri), run_id, figures)


def _log_figures(client: Any, run_id: str, figures: Mapping[str, bytes]) -> None:
    """PNGs by name, as artifacts below `figures`."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in figures.items():
            path = Path(folder) / name if name == CONFUSION else Path(folder) / f"{name}.png"
            path.write_bytes(content)
            client.log_artifact(run_id, str(path), None if name == CONFUSION else "figures")


def _log_dataset(client: Any, run_id: str, corpus: Corpus, data_hash: str) -> None:
    """The labelled clips as a dataset whose digest is the data's DVC hash."""
    import polars as pl
    from mlflow.data.polars_dataset import from_polars
    from mlflow.entities import Dataset, DatasetInput, InputTag

    train = corpus.train
    table = pl.DataFrame(
        {
            "clip": [clip.id for clip in train],
            "actor": [clip.actor for clip in train],
            "fold": [clip.fold for clip in train],
            "state": [_label(clip) for clip in train],
        }
    )
    # MLflow cuts digests at 36 characters.
    digest = (data_hash or corpus.label_hash())[:36]
    dataset = from_polars(table, name=corpus.name, digest=digest)
    entity = DatasetInput(Dataset(**dataset.to_dict()), [InputTag("mlflow.data.context", "train")])
    client.log_inputs(run_id, datasets=[entity])


def _label(clip: Clip) -> str | None:
    """A mixture by name, intensities as numbers."""
    if clip.mixture is not None:
        return clip.mixture.name
    return None if clip.soft is None else ", ".join(f"{value:g}" for value in clip.soft.values)


def trial_metrics(result: TrialResult) -> dict[str, float]:
    """The numbers of a run, by the names that they have in MLflow."""
    return _metrics(result)


def trial_tags(result: TrialResult) -> dict[str, str]:
    """What a run is told apart by: data, strategy, features and protocol."""
    where = {"recipe", "identity", "dvc_hash", "git_commit", "git_dirty", "device"}
    tags = _tags(result, "", Commit("", False), "", "")
    return {name: value for name, value in tags.items() if name not in where}
