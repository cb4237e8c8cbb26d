"""`blended runs`: the table of runs, and where the report is."""

import json
from pathlib import Path
from typing import Annotated

import typer

ACCURACIES = {
    "presence": ("presence_accuracy", "presence"),
    "salience": ("salience_accuracy", "salience"),
    "score": ("score", "score"),
}
RECALLS = {
    "unweighted recall": ("unweighted_recall", "unweighted_recall"),
    "weighted recall": ("weighted_recall", "weighted_recall"),
}
"""Column -> keys of the value and of its interval in metrics.json."""


def runs(root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path()) -> None:
    """Print every trained recipe, best first, and where the report is."""
    from rich.console import Console
    from rich.table import Table

    from blended.studies.folders import Folders
    from blended.studies.params import read_params
    from blended.studies.runs import METRICS

    folders = Folders(root)
    params = read_params(folders.params)
    rows = [
        (name, json.loads(path.read_text(encoding="utf-8"))["cross_fold"])
        for name in params.recipes
        if (path := folders.run(params.corpus, name) / METRICS).is_file()
    ]
    single = any("unweighted_recall" in numbers for _, numbers in rows)
    columns = RECALLS if single else ACCURACIES
    table = Table(title=f"{params.corpus}: cross-fold means with 95 % intervals, actors resampled")
    for column in ("recipe", *columns):
        table.add_column(column, justify="left" if column == "recipe" else "right")
    rank_by = "unweighted_recall" if single else "score"
    for name, numbers in sorted(rows, key=lambda row: -row[1][rank_by]):
        table.add_row(name, *(_with_interval(numbers, *keys) for keys in columns.values()))
    console = Console()
    console.print(table)
    page = folders.report / "index.html"
    if page.is_file():
        console.print(f"report: {page.resolve()}")
        console.print("compare runs in MLflow: make ui")


def _with_interval(numbers: dict[str, float], value: str, bounds: str) -> str:
    return f"{numbers[value]:.3f} [{numbers[f'{bounds}_low']:.3f}, {numbers[f'{bounds}_high']:.3f}]"
