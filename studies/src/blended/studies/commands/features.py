"""`blended features`: encode clips."""

import os
from pathlib import Path
from typing import Annotated

import typer

CORES = os.cpu_count() or 1

app = typer.Typer(help="Encode clips and look at what encoders there are.", no_args_is_help=True)


@app.command()
def extract(
    encoders: Annotated[
        list[str], typer.Argument(help="Encoders of params.yaml; a clip is decoded once for all.")
    ],
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = CORES,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    max_failures: Annotated[
        int | None, typer.Option(min=0, help="Unreadable clips to tolerate; default as in params.yaml.")
    ] = None,
) -> None:
    """Fill the feature stores of the chosen corpus; continues where an earlier run stopped."""
    from blended.data.errors import unknown_name
    from blended.data.index import read_index
    from blended.encoders.extract import extract as run
    from blended.encoders.table import encoder_config
    from blended.studies.commands.progress import clips_progress, say
    from blended.studies.folders import Folders
    from blended.studies.params import read_params, with_name

    folders = Folders(root)
    params = read_params(folders.params)
    for name in encoders:
        if name not in params.encoders:
            raise unknown_name("encoder of params.yaml", name, params.encoders)
    index = read_index(folders.index(params.corpus))
    with clips_progress(" + ".join(encoders)) as progress:
        run(
            index.corpus.clips,
            [encoder_config(with_name(name, params.encoders[name])) for name in encoders],
            folders.features(params.corpus),
            corpus_hash=index.corpus_hash,
            log=say,
            progress=progress,
            workers=workers,
            device=device,
            max_failures=params.max_failures if max_failures is None else max_failures,
        )


@app.command("list")
def list_encoders() -> None:
    """Every encoder: what it perceives, its columns and rate, and its licence."""
    from rich.console import Console
    from rich.table import Table

    from blended.data.errors import InputError
    from blended.encoders.table import ENCODERS, encoder_config

    table = Table("encoder", "modality", "dim", "rate (Hz)", "licence")
    for name in ENCODERS:
        config = encoder_config(name)
        try:
            built = config.build()
            size = (str(built.dim), f"{built.rate_hz:g}")
        except InputError:  # an extra that is not installed: listed all the same
            size = ("extra", "not installed")
        table.add_row(name, config.modality, *size, config.licence)
    Console().print(table)


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="An entry of `imported` in params.yaml.")],
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
) -> None:
    """Bring features that somebody else extracted into a feature store of the chosen corpus."""
    from blended.data.errors import unknown_name
    from blended.data.foreign import import_features
    from blended.data.index import read_index
    from blended.studies.commands.progress import clips_progress, say
    from blended.studies.folders import Folders
    from blended.studies.params import read_params

    folders = Folders(root)
    params = read_params(folders.params)
    if name not in params.imported:
        raise unknown_name("imported features of params.yaml", name, params.imported)
    index = read_index(folders.index(params.corpus))
    seconds = dict(zip(index.table["id"], index.table["duration_seconds"], strict=True))
    with clips_progress(f"import {name}") as progress:
        import_features(
            params.imported[name].source,
            folders.features(params.corpus),
            params.imported[name].config(name),
            seconds,
            corpus_hash=index.corpus_hash,
            log=say,
            progress=progress,
            max_failures=params.max_failures,
        )
