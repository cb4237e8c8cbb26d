"""Trained pipelines as MLflow models: logged with every run, registered by name and alias on request."""

import json
import os
import re
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blended.data import InputError
from blended.data.checksums import write_manifest
from blended.data.errors import unknown_name
from blended.studies.answers import column_names
from blended.studies.folders import Folders
from blended.studies.params import Params, read_params
from blended.studies.pipeline import PipelineRecord
from blended.studies.run_files import ARTIFACTS, RECORD
from blended.studies.tracking import default_uri

NAME = "pipeline"
CARD = "model_card.md"
MODEL_CODE = Path(__file__).with_name("pyfunc_model.py")
URI_VARIABLE = "MLFLOW_TRACKING_URI"
MAX_DESCRIPTION_CHARACTERS = 5000
"""What MLflow stores of a version's description."""


def log_pipeline(record: PipelineRecord, files: Sequence[Path], *, run_id: str, uri: str) -> str:
    """Logs a stored pipeline as the model of a run; returns the model's id.

    Requirements are given and nothing is run for validation: MLflow's own way takes many seconds.
    """
    import mlflow.pyfunc
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    client = MlflowClient(tracking_uri=uri)
    run = client.get_run(run_id)
    model = client.create_logged_model(
        run.info.experiment_id, name=NAME, source_run_id=run_id, params=run.data.params, tags=run.data.tags
    )
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    described = Model(
        artifact_path=model.artifact_location,
        model_uuid=model.model_id,
        run_id=run_id,
        model_id=model.model_id,
        metadata={
            "recipe": record.recipe,
            "identity": record.identity,
            "encoders": json.dumps(record.encoders),
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "model"
        listed = write_manifest(Path(folder), [path.name for path in files], files[0].parent)
        mlflow.pyfunc.save_model(
            path=local,
            python_model=str(MODEL_CODE),
            artifacts={path.stem: str(path) for path in (*files, listed)},
            signature=_signature(record),
            input_example=_input_example(),
            pip_requirements=[f"{name}=={version}" for name, version in record.versions.items()],
            mlflow_model=described,
        )
        client.log_model_artifacts(model.model_id, str(local))
    client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


@contextmanager
def _speaking_to(uri: str) -> Generator[None]:
    """For parts of MLflow that take no address: `set_tracking_uri` would outlive the call."""
    before = os.environ.get(URI_VARIABLE)
    os.environ[URI_VARIABLE] = uri
    try:
        yield
    finally:
        if before is None:
            del os.environ[URI_VARIABLE]
        else:
            os.environ[URI_VARIABLE] = before


def _input_example() -> Any:
    import pandas as pd

    return pd.DataFrame({"path": ["clips/test_0001.mp4"]})


def _signature(record: PipelineRecord) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    emotions = [str(emotion) for emotion in _emotions(record)]
    text = {"path", "state", "notes", "problem"}
    outputs: list[Any] = [
        ColSpec(DataType.string if name in text else DataType.double, name) for name in column_names(emotions)
    ]
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "path")]),
        outputs=Schema(outputs),
        params=ParamSchema([ParamSpec("enrol_from", DataType.string, "")]),
    )


def _emotions(record: PipelineRecord) -> list[object]:
    emotions = record.label_space["emotions"]
    assert isinstance(emotions, list)
    return [*emotions]


def model_of_run(run_id: str, uri: str) -> str:
    """The id of the model that was logged with a run; raises InputError if there is none."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        run = MlflowClient(tracking_uri=uri).get_run(run_id)
    except MlflowException as error:
        raise InputError(f"MLflow at {uri} has no run {run_id!r}: name a recipe or another run") from error
    outputs = run.outputs.model_outputs if run.outputs else []
    if not outputs:
        raise InputError(f"the run {run_id} has no model: train it anew with `blended train RECIPE --again`")
    return str(outputs[-1].model_id)


def download(model_uri: str, uri: str) -> Path:
    """The folder of a model's pipeline files, fetched from where MLflow keeps them."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        with _speaking_to(uri):
            return Path(download_artifacts(artifact_uri=model_uri)) / "artifacts"
    except MlflowException as error:
        raise InputError(f"MLflow at {uri} has no {model_uri}: {error.message}") from error


def register(folder: Path, card: str, *, name: str, alias: str, uri: str) -> str:
    """Makes a run's model the next version of a registered model; returns the version.

    The card becomes the version's description and, as `model_card.md`, an artifact of the run. Raises
    InputError for a run that MLflow does not know, and for a name or alias that it refuses.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    run_id = str(json.loads((folder / "run.json").read_bytes())["run_id"])
    model_id = model_of_run(run_id, uri)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    try:
        with _speaking_to(uri):
            version = _next_version(client, name, run_id, model_id, card)
            client.set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        raise InputError(f"MLflow does not register {name!r} as {alias!r}: {error.message}") from error
    client.log_text(run_id, card, CARD)
    return version


def _next_version(client: Any, name: str, run_id: str, model_id: str, card: str) -> str:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description="Pipelines that recognise blended emotions.")
    made = client.create_model_version(
        name,
        source=f"models:/{model_id}",
        run_id=run_id,
        model_id=model_id,
        description=card[:MAX_DESCRIPTION_CHARACTERS],
        tags={"recipe": client.get_run(run_id).data.tags["recipe"]},
    )
    return str(made.version)


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

    uri = default_uri(folders.root)
    if run.startswith(("models:/", "runs:/")):
        return download(run, uri)
    try:
        return artifacts_of(run, folders)
    except InputError:
        if not RUN_ID.fullmatch(run):
            raise
    return download(f"models:/{model_of_run(run, uri)}", uri)
