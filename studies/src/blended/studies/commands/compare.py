"""`blended compare`: rank all runs and write the report."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from blended.studies.folders import Folders


def compare(
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    show_people: Annotated[
        bool,
        typer.Option("--show-people", help="Pictures of real clips too: think who will see them."),
    ] = False,
) -> None:
    """Rank all recipes of params.yaml; write report/index.html, its tables and figures."""
    from blended.data.atomic import replacing, write_text
    from blended.eval.figures.saving import png
    from blended.eval.report import (
        render_html,
        render_markdown,
        report_figures,
        report_tables,
        to_csv,
        to_latex,
    )
    from blended.studies.code_notes import read_records, stale_runs
    from blended.studies.folders import Folders
    from blended.studies.params import read_params
    from blended.studies.progress import say
    from blended.studies.reporting import gather_report

    folders = Folders(root)
    params = read_params(folders.params)
    report = gather_report(params, folders, log=say, show_people=show_people)
    write_text(folders.report / "table.md", render_markdown(report))
    for name, table in report_tables(report).items():
        write_text(folders.report / "tables" / f"{name}.csv", to_csv(table))
        write_text(folders.report / "tables" / f"{name}.tex", to_latex(table))
    for name, figure in report_figures(report).items():
        with replacing(folders.report / "figures" / f"{name}.png") as temporary:
            temporary.write_bytes(png(figure))
    page = folders.report / "index.html"
    write_text(page, render_html(report))
    for note in report.notes:
        typer.secho(note, fg="yellow", err=True)
    stale = stale_runs(read_records([*params.recipes], params.corpus, folders), folders, params.corpus)
    _mark({run.run_id for run in report.records if run.name in stale and run.run_id}, folders, params.corpus)
    typer.echo(f"report: {page}")


def _mark(stale: set[str], folders: "Folders", corpus: str) -> None:
    """Tags tracked runs that are stale and takes the tag from those that are not any more.

    Which have it is noted beside the caches, so that nobody waits for MLflow where nothing has changed.
    """
    from blended.data.atomic import write_text

    noted = folders.cache / "stale" / f"{corpus}.json"
    before = set[str](json.loads(noted.read_text(encoding="utf-8"))) if noted.is_file() else set[str]()
    if stale != before:
        from blended.studies.tracking import default_uri, mark_stale

        if unknown := mark_stale(stale, before - stale, default_uri(folders.root)):
            typer.secho(f"not tagged in MLflow, which does not know them: {', '.join(unknown)}", err=True)
        write_text(noted, json.dumps(sorted(stale)))
