"""`blended plan`: what every stage of the pipeline is made by, for DVC."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Write down what every stage of dvc.yaml depends on.", no_args_is_help=True)

Root = Annotated[Path, typer.Option(help="Folder of params.yaml.")]


@app.command()
def code(root: Root = Path()) -> None:
    """Versions of the code of every stage before training, and of the report."""
    from blended.studies.corpus_params import read_feature_params
    from blended.studies.folders import Folders
    from blended.studies.plans import write_code_plans

    folders = Folders(root)
    write_code_plans(read_feature_params(folders.params), folders)


@app.command()
def recipes(root: Root = Path()) -> None:
    """What the run of every recipe must be made from: config, corpus, features and code."""
    from blended.studies.folders import Folders
    from blended.studies.params import read_params
    from blended.studies.plans import write_recipe_plans

    folders = Folders(root)
    write_recipe_plans(read_params(folders.params), folders)
