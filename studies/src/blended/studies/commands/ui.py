"""`blended ui`: the MLflow pages of this working folder."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def ui(
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open the MLflow UI on loopback and print the address of the runs."""
    from blended.studies import saved_view, tracking
    from blended.studies.folders import Folders
    from blended.studies.params import read_params

    folders = Folders(root)
    uri = tracking.default_uri(root)
    experiment = tracking.open_experiment(uri, read_params(folders.params).corpus, root)
    address = saved_view.view_address(f"http://127.0.0.1:{port}", experiment)
    typer.echo(f"runs and their comparison: {address}")
    arguments = ["-m", "mlflow", "server", "--backend-store-uri", uri, "--host", "127.0.0.1"]
    arguments += ["--port", str(port), "--workers", "1"]
    # Without jobs MLflow runs two processes instead of fifteen.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    os.execve(sys.executable, [sys.executable, *arguments], environment)
