"""`blended features`: encode clips."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blended.studies.commands.encoders import WeightsFolder, list_encoders, pairs

if TYPE_CHECKING:
    from rich.table import Table

    from blended.data.store import FeatureStore

CORES = os.cpu_count() or 1

app = typer.Typer(help="Encode clips and look at what encoders there are.", no_args_is_help=True)


@app.command()
def extract(
    encoders: Annotated[
        list[str] | None, typer.Argument(help="Encoders of params.yaml; a clip is decoded once for all.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All encoders of params.yaml.")] = False,
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = CORES,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    max_failures: Annotated[
        int | None, typer.Option(min=0, help="Unreadable clips to tolerate; default as in params.yaml.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE: trained weights of an encoder (.safetensors, .pth), else as fetched."),
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Untrained networks, for tests; training refuses them.")
    ] = False,
    folder: WeightsFolder = None,
    engine: Annotated[str, typer.Option(help="local, or ray for a cluster.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster, or auto; without one Ray starts here.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile networks first; not on the CPU.")
    ] = False,
) -> None:
    """Fill the feature stores of the chosen corpus; continues where an earlier run stopped."""
    from blended.studies.corpus_params import read_feature_params
    from blended.studies.folders import Folders
    from blended.studies.preparing import extract_features
    from blended.studies.progress import clips_progress, say
    from blended.studies.ray_extraction import chosen_engine

    if bool(encoders) == every:
        raise typer.BadParameter("name one or several encoders, or use --all")
    folders = Folders(root)
    params = read_feature_params(folders.params)
    encoders = [*params.encoders] if every else list(encoders or ())
    if not encoders:
        say("params.yaml has no encoders: nothing to extract")
        return
    extract_features(
        encoders,
        params,
        folders,
        log=say,
        bar=partial(clips_progress, device=device),
        workers=workers,
        device=device,
        max_failures=max_failures,
        weights={name: Path(file) for name, file in pairs(weights or [], "--weights").items()},
        weights_folder=folder,
        random_weights=random_weights,
        compiled=compiled,
        engine=chosen_engine(engine, address, device, say),
    )


app.command("list")(list_encoders)


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="An entry of `imported` in params.yaml.")],
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
) -> None:
    """Bring features that somebody else extracted into a feature store of the chosen corpus."""
    from blended.data.index import read_index
    from blended.studies.corpus_params import read_feature_params
    from blended.studies.folders import Folders
    from blended.studies.preparing import import_foreign_features
    from blended.studies.progress import clips_progress, say

    folders = Folders(root)
    params = read_feature_params(folders.params)
    index = read_index(folders.index(params.corpus))
    import_foreign_features(name, index, params, folders, log=say, bar=clips_progress)


NUM_ROWS = 20
"""Clips that are shown unless all are asked for."""


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="One feature store; else a line for each.")] = None,
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    every: Annotated[bool, typer.Option("--all", help=f"All clips, not the first {NUM_ROWS}.")] = False,
) -> None:
    """Shapes, times, faces and failures: of every store, or clip by clip of one."""
    from rich.console import Console

    from blended.data.store import FeatureStore
    from blended.studies.folders import Folders
    from blended.studies.params import read_params

    folders = Folders(root)
    corpus = read_params(folders.params).corpus
    folder = folders.features(corpus)
    console = Console()
    if name is None:
        console.print(_stores(folder, corpus))
        return
    _check(folder, name)
    store = FeatureStore(folder / name)
    console.print(_clips(store, len(store) if every else NUM_ROWS))
    for line in _remarks(store, every):
        console.print(line, highlight=False, soft_wrap=True)


def _check(folder: Path, name: str) -> None:
    """Raises InputError for a name of no store."""
    from blended.data.errors import InputError, unknown_name

    present = _names(folder)
    if not present:
        raise InputError(f"{folder} has no features: run `blended features extract ENCODER`, or `dvc repro`")
    if name not in present:
        raise unknown_name("feature store", name, present)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[!.]*") if path.is_dir())


def _stores(folder: Path, corpus: str) -> "Table":
    """One line per store, unfinished ones too."""
    from rich.table import Table

    from blended.data.errors import InputError
    from blended.data.store import FeatureStore
    from blended.encoders.table import rate_in_words

    table = Table(
        "features", "clips", "failed", "layers", "dim", "rate (Hz)", "on disk", "weights", "no face"
    )
    table.title = f"features of {corpus}"
    for name in _names(folder):
        try:
            store = FeatureStore(folder / name)
        except InputError:
            table.add_row(name, "unfinished: extract again")
            continue
        row = store.row(store.clips[0]) if len(store) else None
        table.add_row(
            name,
            str(len(store)),
            str(len(store.failures)),
            str(len(store.layers)),
            str(row.dim) if row else "-",
            rate_in_words(row.rate_hz) if row else "-",
            _size(folder / name),
            store.identity.weights[:12],
            _share(store.notes),
        )
    return table


def _size(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.glob('*')) / 1e6:.1f} MB"


def _share(notes: Mapping[str, Mapping[str, int]]) -> str:
    """Pictures without a face of those that were searched."""
    searched = sum(counts["pictures_searched"] for counts in notes.values())
    missing = sum(counts["pictures_without_face"] for counts in notes.values())
    return f"{missing} of {searched}" if notes else "-"


def _clips(store: "FeatureStore", count: int) -> "Table":
    """One line per clip: the shape of a layer, the time that it spans and the faces that were not there."""
    from rich.table import Table

    from blended.encoders.table import rate_in_words

    table = Table("clip", "steps", "dim", "rate (Hz)", "seconds", "no face in")
    for clip in store.clips[:count]:
        row = store.row(clip)
        seconds = f"{row.num_frames / row.rate_hz:.2f}" if row.rate_hz else "whole clip"
        notes = store.notes.get(clip)
        faces = _share({clip: notes}) + " pictures" if notes else "-"
        table.add_row(clip, str(row.num_frames), str(row.dim), rate_in_words(row.rate_hz), seconds, faces)
    return table


def _remarks(store: "FeatureStore", every: bool) -> list[str]:
    from blended.encoders.faces.stream import faces_seen

    layers = f"layers {', '.join(store.layers)}"
    lines = [f"{store.identity.encoder_name}: {len(store)} clips, {layers}, {_size(store.folder)} on disk"]
    if not every and len(store) > NUM_ROWS:
        lines.append(f"{len(store) - NUM_ROWS} more clips: --all shows them")
    if store.notes:
        lines.append(faces_seen(store.notes))
    lines += [f"{clip} failed: {reason}" for clip, reason in store.failures.items()]
    return [*lines, f"made with {store.identity.version}, weights {store.identity.weights}"]
