"""`blended features show`: what lies in the feature stores of the chosen corpus."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from blended.data.store import FeatureStore

NUM_ROWS = 20
"""Clips that are shown unless all are asked for."""


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
    from blended.encoders.sizes import rate_in_words

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

    from blended.encoders.sizes import rate_in_words

    table = Table("clip", "steps", "dim", "rate (Hz)", "seconds", "no face in")
    for clip in store.clips[:count]:
        row = store.row(clip)
        seconds = f"{row.num_frames / row.rate_hz:.2f}" if row.rate_hz else "whole clip"
        notes = store.notes.get(clip)
        faces = _share({clip: notes}) + " pictures" if notes else "-"
        table.add_row(clip, str(row.num_frames), str(row.dim), rate_in_words(row.rate_hz), seconds, faces)
    return table


def _remarks(store: "FeatureStore", every: bool) -> list[str]:
    from blended.encoders.faces.summary import faces_seen

    layers = f"layers {', '.join(store.layers)}"
    lines = [f"{store.identity.encoder_name}: {len(store)} clips, {layers}, {_size(store.folder)} on disk"]
    if not every and len(store) > NUM_ROWS:
        lines.append(f"{len(store) - NUM_ROWS} more clips: --all shows them")
    if store.notes:
        lines.append(faces_seen(store.notes))
    lines += [f"{clip} failed: {reason}" for clip, reason in store.failures.items()]
    return [*lines, f"made with {store.identity.version}, weights {store.identity.weights}"]
