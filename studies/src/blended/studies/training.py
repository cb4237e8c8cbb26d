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
from blended.studies import kept, models, pipeline, provenance, runs, tracking, trial
from blended.studies.explaining import explained
from blended.studies.extras import extras_files
from blended.studies.folders import Folders
from blended.studies.identity import Versions, versions
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
)
from blended.studies.trial import TrialConfig, TrialResult

Log = Callable[[str], None]

MAX_KEPT_BYTES = 2**30
"""Models that take more are not kept: a new decision on them trains again."""


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """A recipe with what it is made from."""

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


def opened(name: str, params: Params, folders: Folders) -> Recipe:
    """The recipe as it would be trained now; raises InputError for features that are not there or stale."""
    config = trial.trial_config(params, name)
    index = read_index(folders.index(params.corpus))
    stores = trial.open_stores(config, index, folders)
    trial.check_trained(stores, params)
    return Recipe(name, config, index, stores, versions(config, index, stores), folders)


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
    reads = ("vectors", "sequences", "media").index(FUSIONS[fusion.name].reads)
    return reads, len(fusion.features) * (2 if fusion.name == "late" else 1)


def _in_process(name: str, root: Path, device: str, again: bool) -> list[str]:
    from blended.studies.progress import say

    return train_recipe(name, Folders(root), log=say, device=device, again=again)


def train_recipe(name: str, folders: Folders, *, log: Log, device: str, again: bool = False) -> list[str]:
    """Makes a recipe's run complete, or leaves it as it is where it is; a sentence where it was computed.

    `again` trains in any case. Of several processes that train the same, one does and the others wait.
    """
    # First the run, whose folder other versions of the recipe share; then the training, which others share.
    with _lock(folders, f"run-{hashlib.sha256(name.encode()).hexdigest()[:16]}"):
        made_from = kept.inputs(folders, name)
        recipe = opened(name, read_params(folders.params), folders)
        checkpoints = folders.checkpoints(recipe.versions.training)
        with _lock(folders, checkpoints.name):
            if again:
                shutil.rmtree(checkpoints, ignore_errors=True)
            made = [] if not again and _is_there(recipe, log) else [_made(recipe, checkpoints, log, device)]
        kept.remember(folders, name, made_from)
    return made


def _lock(folders: Folders, name: str, timeout_seconds: float = -1) -> FileLock:
    folder = folders.checkpoints("").parent
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock", timeout=timeout_seconds)


def _is_there(recipe: Recipe, log: Log) -> bool:
    """Whether there is a run that needs no model to be complete; its figures are drawn where they are old."""
    from blended.studies.single_run import drawn

    if faults := run_faults(recipe.folder):
        for fault in faults:
            log(f"{fault}: the run is made anew")
        return False
    made = _versions_in(recipe.folder)
    if made is None or replace(made, figures=recipe.versions.figures) != recipe.versions:
        return False
    if not is_checked(recipe.folder / ARTIFACTS):
        log(f"{recipe.folder} was made before checksums, so that its files may be damaged: it is made anew")
        return False
    if made == recipe.versions:
        log(f"{recipe.name}: nothing that it depends on has changed; kept")
        return True
    run = runs.read_run(recipe.folder, recipe.index.corpus.space)
    if run is None:
        return False
    pictures = drawn(run, recipe.index.corpus)
    open_run(recipe.folder)
    runs.write_pictures(recipe.folder, pictures)
    if run.run_id is not None:
        tracking.replace_figures(run.run_id, pictures, tracking.default_uri(recipe.folders.root))
    runs.finish_run(recipe.folder, replace(run, versions=recipe.versions))
    log(f"{recipe.name}: only what draws figures has changed; drawn anew")
    return True


def _made(recipe: Recipe, checkpoints: Path, log: Log, device: str) -> str:
    started = time.monotonic()
    before = _versions_in(recipe.folder)
    result = trial.run(recipe.config, log=log, device=device, folders=recipe.folders, checkpoints=checkpoints)
    result = explained(result, named_predictors(recipe.config, recipe.stores, log))
    _keep(result, recipe, device, time.monotonic() - started)
    _tidy(recipe, before, checkpoints)
    words = TASKS[result.corpus.space.task].headline.words
    return f"{recipe.name}: {result.cross_fold.protocol.label}: {words} {result.headline}"


def _keep(result: TrialResult, recipe: Recipe, device: str, seconds: float) -> None:
    """Writes the run's files, tracks it, and then writes the record that makes it complete."""
    from blended.studies.single_run import drawn

    folder, folders = recipe.folder, recipe.folders
    run = runs.stored(result, recipe.name, recipe.versions)
    runs.write_run(folder, recipe.name, result)
    commit = provenance.git_commit(folders.root)
    made = {name: store.identity for name, store in recipe.stores.items()}
    record = pipeline.pipeline_record(result, recipe.name, recipe.index, commit, made)
    files = pipeline.write_pipeline(folder / ARTIFACTS, record, result.decision)
    pictures = drawn(run, result.corpus)
    runs.write_pictures(folder, pictures)
    artifacts = [folder / METRICS]
    artifacts += [folder / ARTIFACTS / name for name in (PREDICTIONS, MODEL)]
    artifacts += extras_files(folder / ARTIFACTS)
    uri = tracking.default_uri(folders.root)
    run_id = tracking.log_trial(
        result,
        versions=recipe.versions,
        recipe=recipe.name,
        experiment=result.config.corpus,
        uri=uri,
        root=folders.root,
        artifacts=artifacts,
        figures=pictures,
        baselines=_baselines(result),
        commit=commit,
        data_hash=provenance.dvc_hash(folders.root, folders.corpus(result.config.corpus)),
        device=device,
        seconds=seconds,
    )
    models.log_pipeline(record, files, run_id=run_id, uri=uri)
    runs.finish_run(folder, replace(run, run_id=run_id))


def _tidy(recipe: Recipe, before: Versions | None, checkpoints: Path) -> None:
    """Removes the models of the run that was replaced, unless another run was trained with them; and the new
    ones where they are too large to keep."""
    if sum(file.stat().st_size for file in checkpoints.rglob("*") if file.is_file()) > MAX_KEPT_BYTES:
        shutil.rmtree(checkpoints, ignore_errors=True)
    if before is None or before.training == recipe.versions.training:
        return
    others = (_versions_in(folder) for folder in recipe.folder.parent.iterdir() if folder.is_dir())
    planned = (recipe.folders.plans(recipe.config.corpus) / "recipes").glob("*.json")
    used = {made.training for made in others if made is not None}
    if before.training in used or any(before.training in plan.read_text() for plan in planned):
        return
    old = recipe.folders.checkpoints(before.training)
    with (
        suppress(Timeout),
        _lock(recipe.folders, old.name, timeout_seconds=0.0),
    ):  # Somebody trains on: nothing is removed.
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
