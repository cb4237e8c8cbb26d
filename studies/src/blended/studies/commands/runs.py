"""`blended runs`: the table of runs, and where the report is."""

import json
from pathlib import Path
from typing import Annotated

import typer


def runs(root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path()) -> None:
    """Print every trained recipe, best first, and where the report is."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from blended.data.digits import decimals
    from blended.data.errors import InputError
    from blended.eval.tasks import TASKS
    from blended.studies.code_notes import code_notes, read_records
    from blended.studies.folders import Folders
    from blended.studies.params import read_params
    from blended.studies.progress import say
    from blended.studies.run_files import ARTIFACTS, METRICS, is_checked, read_record, unchecked_runs

    folders = Folders(root)
    params = read_params(folders.params)
    found = {name: folders.run(params.corpus, name) for name in params.recipes}
    there = {name: folder for name, folder in found.items() if read_record(folder) is not None}
    if old := [name for name, folder in there.items() if not is_checked(folder / ARTIFACTS)]:
        say(unchecked_runs(old))
    rows = [
        (name, json.loads((folder / METRICS).read_text(encoding="utf-8"))["cross_fold"])
        for name, folder in there.items()
    ]
    # Older runs of single labels have the measures of mixtures too: the most particular task comes first.
    fitting = [one for one in TASKS.values() if all(one.headline.key in row for _, row in rows)]
    task = TASKS["mixture"] if not rows else next(reversed(fitting), None)
    if task is None:
        raise InputError("the runs are not all of one task: train the recipes anew with `dvc repro`")
    title = f"{params.corpus}: cross-fold means, 95 % intervals over actors"
    # As narrow as it goes: long names and three measures fit 80 columns.
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("recipe", no_wrap=True)
    for one in task.measures:
        table.add_column(one.words, justify="right", no_wrap=True)
    places = decimals(numbers[task.headline.key] for _, numbers in rows)
    for name, numbers in sorted(rows, key=lambda row: -row[1][task.headline.key]):
        digits = {task.headline.key: places}
        shown = (_with_interval(numbers, one.key, one.short, digits.get(one.key, 3)) for one in task.measures)
        table.add_row(name, *shown)
    console = Console()
    console.print(table)
    records = read_records([name for name, _ in rows], params.corpus, folders)
    for note in code_notes(records, folders, params.corpus):
        console.print(note, style="yellow", highlight=False)
    page = folders.report / "index.html"
    if page.is_file():
        console.print(f"report: {page.resolve()}")
        console.print("compare runs in MLflow: make ui")


def _with_interval(numbers: dict[str, float], value: str, bounds: str, places: int) -> str:
    from blended.data.digits import small

    shown = small(numbers[value], places)
    if f"{bounds}_low" not in numbers:
        return f"{shown} (no interval)"
    low, high = (small(numbers[f"{bounds}_{side}"]) for side in ("low", "high"))
    return f"{shown} [{low}, {high}]".replace("0.", ".")
