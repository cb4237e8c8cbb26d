"""`blended train`: recipes of params.yaml."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipes: Annotated[list[str] | None, typer.Argument(help="Recipes of params.yaml.")] = None,
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    again: Annotated[bool, typer.Option("--again", help="Train even if nothing has changed.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All recipes.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Recipes trained at a time.")] = 1,
) -> None:
    """Train recipes over all folds, decide, measure, and log an MLflow run each; what is there is kept."""
    from blended.studies import kept
    from blended.studies.folders import Folders
    from blended.studies.progress import say

    if bool(recipes) == every:
        raise typer.BadParameter("name one or several recipes, or use --all")
    folders = Folders(root)
    names = kept.recipe_names(folders) if every else list(recipes or ())
    due: list[str] = []
    for name in dict.fromkeys(names):
        if again or not kept.is_kept(folders, name):
            due.append(name)
        else:
            say(f"{name}: nothing that it depends on has changed; kept")
    if due or not names:
        from blended.studies.training import train_recipes

        for sentence in train_recipes(due, folders, log=say, device=device, again=again, workers=workers):
            typer.echo(sentence)
