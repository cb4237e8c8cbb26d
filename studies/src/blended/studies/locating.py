"""What a user may call a run: a recipe, a folder, an id of MLflow, or a registered model."""

import re
from pathlib import Path

from blended.data import InputError
from blended.data.errors import unknown_name
from blended.studies.folders import Folders
from blended.studies.params import Params, read_params
from blended.studies.run_files import ARTIFACTS, RECORD
from blended.studies.tracking import default_uri

RUN_ID = re.compile(r"[0-9a-f]{32}")


def artifacts_of(run: str, folders: Folders) -> Path:
    """The artifacts of a run on this disk: a recipe of params.yaml's corpus, a run's folder, or a run id.

    Raises InputError for a name that is none of them, and for a recipe without a finished run.
    """
    for folder in (Path(run), Path(run) / ARTIFACTS):
        if (folder / RECORD).is_file():
            return folder
    if RUN_ID.fullmatch(run):
        for record in folders.root.glob(f"runs/*/*/{ARTIFACTS}/{RECORD}"):
            if f'"run_id": "{run}"' in record.read_text(encoding="utf-8", errors="replace"):
                return record.parent
        raise InputError(f"no run below {folders.root.resolve()} has the id {run}: name a recipe or a folder")
    params = read_params(folders.params)
    return _of_recipe(run, params, folders)


def _of_recipe(run: str, params: Params, folders: Folders) -> Path:
    if run not in params.recipes:
        raise unknown_name("run (expected a recipe, a run's folder or an MLflow run id)", run, params.recipes)
    artifacts = folders.run(params.corpus, run) / ARTIFACTS
    if not (artifacts / RECORD).is_file():
        raise InputError(f"recipe {run!r} has no finished run: `blended train {run}`, or `dvc repro`")
    return artifacts


def pipeline_folder(run: str, folders: Folders) -> Path:
    """Where the pipeline of a run lies; `models:/NAME@ALIAS` and ids of runs elsewhere are fetched."""
    from blended.studies import models

    uri = default_uri(folders.root)
    if run.startswith(("models:/", "runs:/")):
        return models.download(run, uri)
    try:
        return artifacts_of(run, folders)
    except InputError:
        if not RUN_ID.fullmatch(run):
            raise
    return models.download(f"models:/{models.model_of_run(run, uri)}", uri)
