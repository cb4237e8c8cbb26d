"""`blended train`: one recipe of params.yaml."""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from blended.data.index import Index
    from blended.data.store import Identity
    from blended.eval.evaluation import Evaluation
    from blended.studies.folders import Folders
    from blended.studies.trial import TrialResult


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe of params.yaml.")],
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    again: Annotated[bool, typer.Option("--again", help="Train even if nothing has changed.")] = False,
) -> None:
    """Train a recipe over all folds, decide, measure, and log one MLflow run."""
    from blended.data.index import read_index
    from blended.eval.tasks import TASKS
    from blended.studies import trial
    from blended.studies.commands.progress import say
    from blended.studies.explaining import explained
    from blended.studies.folders import Folders
    from blended.studies.identity import identity as identity_of_trial
    from blended.studies.params import read_params
    from blended.studies.predictors import named_predictors
    from blended.studies.single_run import with_curve

    folders = Folders(root)
    params = read_params(folders.params)
    config = trial.trial_config(params, recipe)
    folder = folders.run(params.corpus, recipe)
    # DVC watches the features of all encoders together, so it asks for a run again when only features
    # of another recipe have changed; the identity knows better.
    index = read_index(folders.index(params.corpus))
    stores = trial.open_stores(config, index, folders)
    trial.check_trained(stores, params)
    identity = identity_of_trial(config, index, stores)
    if not again and _is_kept(folder, identity, say):
        say(f"{recipe}: config, corpus, features and code are those of the existing run; kept")
        return
    started = time.monotonic()
    checkpoints = folders.checkpoints(identity)
    result = trial.run(config, log=say, device=device, folders=folders, checkpoints=checkpoints)
    made = {name: store.identity for name, store in stores.items()}
    result = explained(with_curve(result), named_predictors(config, stores, say))
    _keep(result, recipe, folders, index, made, device, time.monotonic() - started)
    shutil.rmtree(checkpoints, ignore_errors=True)
    words = TASKS[result.corpus.space.task].headline.words
    typer.echo(f"{recipe}: {result.cross_fold.protocol.label}: {words} {result.headline}")


def _is_kept(folder: Path, identity: str, say: Callable[[str], None]) -> bool:
    """Whether the run is there, of the same identity, and every file of it as it was written."""
    from blended.studies.run_files import ARTIFACTS, is_checked, record_unchecked, run_faults

    if faults := run_faults(folder):
        for fault in faults:
            say(f"{fault}: the run is made anew")
        return False
    record = record_unchecked(folder)
    if record is None or record["identity"] != identity:
        return False
    if not is_checked(folder / ARTIFACTS):
        say(f"{folder} was made before checksums, so that its files may be damaged: the run is made anew")
        return False
    return True


def _keep(
    result: "TrialResult",
    recipe: str,
    folders: "Folders",
    index: "Index",
    made: Mapping[str, "Identity"],
    device: str,
    seconds: float,
) -> None:
    """Writes the run's files, tracks it, and then writes the record that makes it complete."""
    from blended.eval.figures import run_figure
    from blended.eval.figures.saving import png
    from blended.studies import models, pipeline, provenance, run_files, runs, tracking
    from blended.studies.extras import extras_files
    from blended.studies.single_run import run_pictures

    folder = folders.run(result.config.corpus, recipe)
    picture = run_figure(result.cross_fold, result.train.truth, result.corpus.space)
    runs.write_run(folder, recipe, result, png(picture))
    commit = provenance.git_commit(folders.root)
    record = pipeline.pipeline_record(result, recipe, index, commit, made)
    files = pipeline.write_pipeline(folder / run_files.ARTIFACTS, record, result.decision)
    artifacts = [folder / run_files.CONFUSION, folder / run_files.METRICS]
    artifacts += [folder / run_files.ARTIFACTS / name for name in (run_files.PREDICTIONS, run_files.MODEL)]
    artifacts += extras_files(folder / run_files.ARTIFACTS)
    pictures = run_pictures(result, recipe)
    runs.write_pictures(folder / run_files.ARTIFACTS, pictures)
    run_id = tracking.log_trial(
        result,
        recipe=recipe,
        experiment=result.config.corpus,
        uri=tracking.default_uri(folders.root),
        root=folders.root,
        artifacts=artifacts,
        figures=pictures,
        baselines=_baselines(result),
        commit=commit,
        data_hash=provenance.dvc_hash(folders.root, folders.corpus(result.config.corpus)),
        device=device,
        seconds=seconds,
    )
    models.log_pipeline(record, files, run_id=run_id, uri=tracking.default_uri(folders.root))
    runs.finish_run(folder, recipe, result, run_id)


def _baselines(result: "TrialResult") -> dict[str, "Evaluation"]:
    from blended.eval.decisions import trivial_decisions
    from blended.eval.evaluation import evaluate
    from blended.eval.protocol import Protocol

    evidence = result.train.evidence(result.corpus.space)
    truth = [mixture for mixture in result.train.truth if mixture is not None]
    names = trivial_decisions(result.corpus.space) if truth else ()
    return {name: evaluate(evidence, truth, Protocol(name)) for name in names}
