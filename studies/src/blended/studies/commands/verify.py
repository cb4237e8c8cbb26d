"""`blended verify`: whether everything that is stored is as it was written."""

from pathlib import Path
from typing import Annotated

import typer


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
