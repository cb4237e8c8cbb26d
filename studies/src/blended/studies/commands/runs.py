"""`blended runs`: the table of runs, and where the report is."""

import json
from pathlib import Path
from typing import Annotated

import typer


def runs(root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path()) -> None:
    """Print every trained recipe, best first, and where the report is."""
    from rich.console import Console
    from rich.table import Table

    from blended.studies.folders import Folders
    from blended.studies.params import read_params
    from blended.studies.runs import METRICS

    folders = Folders(root)
    params = read_params(folders.params)
    table = Table(title=f"{params.corpus}: cross-fold means with 95 % intervals, actors resampled")
    for column in ("recipe", "presence", "salience", "score"):
        table.add_column(column, justify="left" if column == "recipe" else "right")
    rows = [
        (name, json.loads(path.read_text(encoding="utf-8"))["cross_fold"])
        for name in params.recipes
        if (path := folders.run(params.corpus, name) / METRICS).is_file()
    ]
    for name, numbers in sorted(rows, key=lambda row: -row[1]["score"]):
        table.add_row(name, *(_with_interval(numbers, key) for key in ("presence", "salience", "score")))
    console = Console()
    console.print(table)
    page = folders.report / "index.html"
    if page.is_file():
        console.print(f"report: {page.resolve()}")
        console.print("compare runs in MLflow: make ui")


def _with_interval(numbers: dict[str, float], name: str) -> str:
    value = numbers[name if name == "score" else f"{name}_accuracy"]
    return f"{value:.3f} [{numbers[f'{name}_low']:.3f}, {numbers[f'{name}_high']:.3f}]"
