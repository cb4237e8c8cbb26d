"""Commands on finished runs: `blended runs`, `compare`, `ui`, `submit`, `register`, `verify`."""

import json
import os
import sys
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
    from blended.studies.folders import Folders
    from blended.studies.params import read_params
    from blended.studies.plans import code_notes, read_records
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
    sign = -1 if task.headline.larger_is_better else 1
    for name, numbers in sorted(rows, key=lambda row: sign * row[1][task.headline.key]):
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

    if value not in numbers:
        return "none"  # The measure is younger than the run.
    shown = small(numbers[value], places)
    if f"{bounds}_low" not in numbers:
        return f"{shown} (no interval)"
    low, high = (small(numbers[f"{bounds}_{side}"]) for side in ("low", "high"))
    return f"{shown} [{low}, {high}]".replace("0.", ".")


def compare(
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    show_people: Annotated[
        bool,
        typer.Option("--show-people", help="Pictures of real clips too: think who will see them."),
    ] = False,
) -> None:
    """Rank all recipes of params.yaml; write report/index.html, its tables and figures."""
    from blended.studies.folders import Folders
    from blended.studies.params import read_params
    from blended.studies.progress import say
    from blended.studies.reporting import gather_report, mark_stale_runs, write_report

    folders = Folders(root)
    params = read_params(folders.params)
    report = gather_report(params, folders, log=say, show_people=show_people)
    page = write_report(report, folders.report)
    for note in report.notes:
        typer.secho(note, fg="yellow", err=True)
    if unknown := mark_stale_runs(report, params, folders):
        typer.secho(f"not tagged in MLflow, which does not know them: {', '.join(unknown)}", err=True)
    typer.echo(f"report: {page}")


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


def submit(
    run: Annotated[str, typer.Argument(help="A recipe of params.yaml's corpus, a run's folder or a run id.")],
    out: Annotated[Path, typer.Option(help="The zip to write.")] = Path("submission.zip"),
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
) -> None:
    """Write a challenge submission, checked by rule: every test clip once, shares on the grid."""
    from blended.studies.folders import Folders
    from blended.studies.progress import say
    from blended.studies.submitting import submit_run

    num_clips = submit_run(run, Folders(root), out, say)
    typer.echo(f"{out}: {num_clips} test clips, checked")


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
    from blended.studies.models import artifacts_of
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


def verify(
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    recordings: Annotated[
        bool, typer.Option(help="Hash the corpus's recordings too, which takes longest.")
    ] = True,
) -> None:
    """Hash every stored file and compare it with its checksum: a line per fault, with what to do."""
    from blended.studies.folders import Folders
    from blended.studies.verifying import verify as look

    found = look(Folders(root), recordings=recordings)
    faults = [one for looked in found.values() for one in looked if one.problem]
    for fault in faults:
        typer.echo(f"{fault.path} {fault.problem}: {fault.remedy}")
    if faults:
        typer.echo("")
    typer.echo(f"{'':<20}{'files':>8}{'MB':>10}{'faults':>8}")
    for part, looked in found.items():
        size = sum(one.num_bytes for one in looked) / 1e6
        typer.echo(f"{part:<20}{len(looked):>8}{size:>10.1f}{sum(bool(one.problem) for one in looked):>8}")
    if not found:
        typer.echo(f"nothing is stored below {root.resolve()}")
    if faults:
        said = f"{len(faults)} faults: type what stands behind each, then `dvc repro`"
        typer.secho(said, fg="red", err=True)
        raise typer.Exit(1)
    typer.echo("all is as it was written")
