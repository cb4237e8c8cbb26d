"""`blended submit`: a run's decisions for the test partition in the organisers' format."""

from pathlib import Path
from typing import Annotated

import typer


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
