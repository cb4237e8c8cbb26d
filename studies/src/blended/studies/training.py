"""One recipe of params.yaml to a finished run: as much of it as is not there already.

what has changed                        what is done
nothing                                 kept
what draws figures                      figures are drawn from the stored predictions
a decision, or what explains a run      decided anew, by the models kept in data/checkpoints
whatever training depends on            trained
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from filelock import FileLock, Timeout

from blended.data import InputError
from blended.data.code_versions import installed
from blended.data.index import Index, read_index
from blended.data.store import FeatureStore
from blended.eval.decisions import trivial_decisions
from blended.eval.evaluation import Evaluation, evaluate
from blended.eval.protocol import Protocol
from blended.eval.tasks import TASKS
from blended.fusion.strategies import FUSIONS, FusionConfig
from blended.studies import kept, models, pipeline, runs, tracking, trial
from blended.studies.explaining import explained
from blended.studies.extras import extras_files
from blended.studies.folders import Folders
from blended.studies.identity import Versions, dvc_hash, git_commit, versions
from blended.studies.params import Params, read_params
from blended.studies.predictors import named_predictors
from blended.studies.run_files import (
    ARTIFACTS,
    METRICS,
    MODEL,
    PREDICTIONS,
    is_checked,
    open_run,
    record_unchecked,
    run_faults,
    write_pictures,
)
from blended.studies.trial import TrialConfig, TrialResult

Log = Callable[[str], None]

MAX_KEPT_BYTES = 2**30
"""Models that take more are not kept: a new decision on them trains again."""


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A run as it would be made now: its config with the data, the features and the code that there are."""

    name: str
    config: TrialConfig
    index: Index
    stores: Mapping[str, FeatureStore]
    versions: Versions
    folders: Folders

    @property
    def folder(self) -> Path:
        """Of its run."""
        return self.folders.run(self.config.corpus, self.name)


def opened(name: str, params: Params, folders: Folders) -> Planned:
    """The recipe as it would be trained now; raises InputError for features that are not there or stale."""
    config = trial.trial_config(params, name)
    index = read_index(folders.index(params.corpus))
    stores = trial.open_stores(config, index, folders)
    trial.check_trained(stores, params)
    return Planned(name, config, index, stores, versions(config, index, stores), folders)


def train_recipes(
    names: Sequence[str], folders: Folders, *, log: Log, device: str, again: bool = False, workers: int = 1
) -> Iterator[str]:
    """Makes the runs of some recipes complete; yields what each that was computed is worth.

    With several workers they are computed side by side, those that take longest first, each in a process
    that has imported everything once. One that fails stops no other; raises InputError at the end.
    """
    installed()  # The code as it is now, before what takes long.
    params = read_params(folders.params)
    for name in names:
        params.recipe(name)
    if workers == 1 or len(names) < 2:
        for name in names:
            yield from train_recipe(name, folders, log=log, device=device, again=again)
        return
    failed: list[str] = []
    order = sorted(names, key=lambda name: _cost(params.recipe(name).fusion), reverse=True)
    with ProcessPoolExecutor(min(workers, len(names)), get_context("spawn")) as pool:
        waiting = {pool.submit(_in_process, name, folders.root, device, again): name for name in order}
        for done in as_completed(waiting):
            try:
                yield from done.result()
            except InputError as error:
                failed.append(f"{waiting[done]}: {error}")
    if failed:
        raise InputError("; ".join(failed))


def _cost(fusion: FusionConfig) -> tuple[int, int]:
    """Larger for what takes longer: networks on clips, then on sequences, then many models."""
    reads = ("vectors", "sequences", "media").index(FUSIONS[fusion.name].reads.name)
    return reads, len(fusion.features) * (2 if fusion.name == "late" else 1)


def _in_process(name: str, root: Path, device: str, again: bool) -> list[str]:
    from blended.studies.progress import say

    return train_recipe(name, Folders(root), log=say, device=device, again=again)


def train_recipe(name: str, folders: Folders, *, log: Log, device: str, again: bool = False) -> list[str]:
    """`complete` for a recipe of params.yaml; that its run is kept is told at once the next time."""
    made_from = kept.inputs(folders, name)
    planned = opened(name, read_params(folders.params), folders)
    made = complete(planned, log=log, device=device, again=again)
    kept.remember(folders, name, made_from)
    return [] if made is None else [made]


def complete(planned: Planned, *, log: Log, device: str, again: bool = False) -> str | None:
    """Makes a run complete, or leaves it as it is where it is; a sentence where it was computed.

    `again` trains in any case. Of several processes that train the same, one does and the others wait.
    """
    checkpoints = planned.folders.checkpoints(planned.versions.training)
    run = f"run-{hashlib.sha256(planned.name.encode()).hexdigest()[:16]}"
    # First the run, whose folder other versions of the recipe share; then the training, which others share.
    with _lock(planned.folders, run), _lock(planned.folders, checkpoints.name):
        if again:
            shutil.rmtree(checkpoints, ignore_errors=True)
        return None if not again and _is_there(planned, log) else _made(planned, checkpoints, log, device)


def _lock(folders: Folders, name: str, timeout_seconds: float = -1) -> FileLock:
    folder = folders.checkpoints("").parent
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock", timeout=timeout_seconds)


def _is_there(planned: Planned, log: Log) -> bool:
    """Whether there is a run that needs no model to be complete; its figures are drawn where they are old."""
    if faults := run_faults(planned.folder):
        for fault in faults:
            log(f"{fault}: the run is made anew")
        return False
    made = _versions_in(planned.folder)
    if made is None or replace(made, figures=planned.versions.figures) != planned.versions:
        return False
    if not is_checked(planned.folder / ARTIFACTS):
        log(f"{planned.folder} was made before checksums, so that its files may be damaged: it is made anew")
        return False
    if made == planned.versions:
        log(f"{planned.name}: nothing that it depends on has changed; kept")
        return True
    run = runs.read_run(planned.folder, planned.index.corpus.space)
    if run is None:
        return False
    pictures = runs.drawn(run, planned.index.corpus)
    open_run(planned.folder)
    write_pictures(planned.folder, pictures)
    if run.run_id is not None:
        tracking.replace_figures(run.run_id, pictures, tracking.default_uri(planned.folders.root))
    runs.finish_run(planned.folder, replace(run, versions=planned.versions))
    log(f"{planned.name}: only what draws figures has changed; drawn anew")
    return True


def _made(planned: Planned, checkpoints: Path, log: Log, device: str) -> str:
    started = time.monotonic()
    before = _versions_in(planned.folder)
    result = trial.run(
        planned.config, log=log, device=device, folders=planned.folders, checkpoints=checkpoints
    )
    result = explained(result, named_predictors(planned.config, planned.stores, log))
    _keep(result, planned, device, time.monotonic() - started)
    _tidy(planned, before, checkpoints)
    words = TASKS[result.corpus.space.task].headline.words
    return f"{planned.name}: {result.cross_fold.protocol.label}: {words} {result.headline}"


def _keep(result: TrialResult, planned: Planned, device: str, seconds: float) -> None:
    """Writes the run's files, tracks it, and then writes the record that makes it complete."""
    folder, folders = planned.folder, planned.folders
    run = runs.stored(result, folder, planned.name, planned.versions)
    runs.write_run(folder, planned.name, result)
    commit = git_commit(folders.root)
    made = {name: store.identity for name, store in planned.stores.items()}
    record = pipeline.pipeline_record(result, planned.name, planned.index, commit, made)
    files = pipeline.write_pipeline(folder / ARTIFACTS, record, result.decision)
    pictures = runs.drawn(run, result.corpus)
    write_pictures(folder, pictures)
    artifacts = [folder / METRICS]
    artifacts += [folder / ARTIFACTS / name for name in (PREDICTIONS, MODEL)]
    artifacts += extras_files(folder / ARTIFACTS)
    uri = tracking.default_uri(folders.root)
    run_id = tracking.log_trial(
        result,
        versions=planned.versions,
        recipe=planned.name,
        experiment=result.config.corpus,
        uri=uri,
        root=folders.root,
        artifacts=artifacts,
        figures=pictures,
        baselines=_baselines(result),
        commit=commit,
        data_hash=dvc_hash(folders.root, folders.corpus(result.config.corpus)),
        device=device,
        seconds=seconds,
    )
    models.log_pipeline(record, files, run_id=run_id, uri=uri)
    runs.finish_run(folder, replace(run, run_id=run_id))


def _tidy(planned: Planned, before: Versions | None, checkpoints: Path) -> None:
    """Removes the models of the run that was replaced, unless another run was trained with them; and the new
    ones where they are too large to keep."""
    if sum(file.stat().st_size for file in checkpoints.rglob("*") if file.is_file()) > MAX_KEPT_BYTES:
        shutil.rmtree(checkpoints, ignore_errors=True)
    if before is None or before.training == planned.versions.training:
        return
    others = (_versions_in(folder) for folder in planned.folder.parent.iterdir() if folder.is_dir())
    plans = (planned.folders.plans(planned.config.corpus) / "recipes").glob("*.json")
    used = {made.training for made in others if made is not None}
    if before.training in used or any(before.training in plan.read_text() for plan in plans):
        return
    old = planned.folders.checkpoints(before.training)
    # While somebody trains on, nothing is removed.
    with suppress(Timeout), _lock(planned.folders, old.name, timeout_seconds=0.0):
        shutil.rmtree(old, ignore_errors=True)


def _versions_in(folder: Path) -> Versions | None:
    """What made the run in a folder; None where there is none, where it does not say, or is damaged."""
    record = None if run_faults(folder) else record_unchecked(folder)
    return None if record is None else runs.versions_of(record)


def _baselines(result: TrialResult) -> dict[str, Evaluation]:
    evidence = result.train.evidence(result.corpus.space)
    truth = [mixture for mixture in result.train.truth if mixture is not None]
    names = trivial_decisions(result.corpus.space) if truth else ()
    return {name: evaluate(evidence, truth, Protocol(name)) for name in names}
