"""`blended register`: a run's pipeline as a version of a registered MLflow model, with its card."""

from pathlib import Path
from typing import Annotated

import typer


def register(
    run: Annotated[str, typer.Argument(help="A recipe of params.yaml's corpus, a run's folder or a run id.")],
    alias: Annotated[str, typer.Option(help="Points to this version from now on.")] = "champion",
    name: Annotated[str, typer.Option(help="Registered model; default blended-CORPUS.")] = "",
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
) -> None:
    """Register a run's pipeline under an alias; its model card becomes the version's description."""
    from blended.data.atomic import write_text
    from blended.studies import model_card, models
    from blended.studies.folders import Folders
    from blended.studies.locating import artifacts_of
    from blended.studies.pipeline import read_pipeline
    from blended.studies.progress import say
    from blended.studies.run_files import unchecked
    from blended.studies.tracking import default_uri

    folders = Folders(root)
    artifacts = artifacts_of(run, folders)
    pipeline = read_pipeline(artifacts)
    record = pipeline.record
    if not pipeline.checked:
        say(unchecked(artifacts, record.recipe))
    named = name or f"blended-{record.config.corpus}"
    card = model_card.gather_card(artifacts, folders)
    # Beside the artifacts and not among them: these are an output of the pipeline, hashed as they are.
    write_text(artifacts.parent / models.CARD, card)
    version = models.register(artifacts, card, name=named, alias=alias, uri=default_uri(folders.root))
    typer.echo(f"{named} version {version} is now models:/{named}@{alias}")
    typer.echo(f"model card: {artifacts.parent / models.CARD}")
