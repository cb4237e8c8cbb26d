"""`blended features`: encode clips."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blended.studies.commands.encoders import WeightsFolder, list_encoders, pairs, weights_folder
from blended.studies.commands.stored_features import show

if TYPE_CHECKING:
    from blended.data.index import Index
    from blended.encoders.encoder import EncoderConfig
    from blended.studies.corpus_params import FeatureParams

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
    from blended.data.index import read_index
    from blended.encoders.extract import extract as run
    from blended.encoders.weights import resolve
    from blended.studies.commands.engines import chosen_engine
    from blended.studies.corpus_params import read_feature_params
    from blended.studies.folders import Folders
    from blended.studies.progress import clips_progress, say

    if bool(encoders) == every:
        raise typer.BadParameter("name one or several encoders, or use --all")
    folders = Folders(root)
    params = read_feature_params(folders.params)
    encoders = [*params.encoders] if every else list(encoders or ())
    if not encoders:
        say("params.yaml has no encoders: nothing to extract")
        return
    configs = _configs(encoders, params)
    given = _given_weights(encoders, params.weights, weights or [])
    files = resolve(configs, weights_folder(folder), given=given, random=random_weights)
    index = read_index(folders.index(params.corpus))
    _say_sizes(configs, index)
    runs_on = chosen_engine(engine, address, device, say)
    with clips_progress(" + ".join(encoders), device) as progress:
        run(
            index.corpus.clips,
            configs,
            folders.features(params.corpus),
            corpus_hash=index.corpus_hash,
            log=say,
            progress=progress,
            weights=files,
            workers=workers,
            device=device,
            compiled=compiled,
            engine=runs_on,
            max_failures=params.max_failures if max_failures is None else max_failures,
        )


def _configs(names: list[str], params: "FeatureParams") -> "list[EncoderConfig]":
    """The encoders as params.yaml has them; raises InputError for one that it does not have."""
    from blended.data.errors import unknown_name
    from blended.encoders.table import encoder_config
    from blended.studies.corpus_params import with_name

    for name in names:
        if name not in params.encoders:
            raise unknown_name("encoder of params.yaml", name, params.encoders)
    return [encoder_config(with_name(name, params.encoders[name])) for name in names]


def _given_weights(encoders: list[str], of_params: Mapping[str, str], options: list[str]) -> dict[str, Path]:
    """Encoder -> its weights, from `weights` in params.yaml and, before them, from the command line."""
    named = {name: text for name, text in of_params.items() if name in encoders}
    return {name: Path(text) for name, text in (named | pairs(options, "--weights")).items()}


def _say_sizes(configs: "Sequence[EncoderConfig]", index: "Index") -> None:
    """What the features will take on disk, before anything is computed."""
    from blended.encoders.sizes import size_in_words
    from blended.studies.progress import say

    seconds = [length for length in index.table["duration_seconds"] if length is not None]
    for config in configs:
        if words := size_in_words(config, seconds):
            say(words)


app.command("list")(list_encoders)
app.command("show")(show)


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="An entry of `imported` in params.yaml.")],
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
) -> None:
    """Bring features that somebody else extracted into a feature store of the chosen corpus."""
    from blended.data.errors import unknown_name
    from blended.data.foreign import import_features
    from blended.data.index import read_index
    from blended.studies.corpus_params import read_feature_params
    from blended.studies.folders import Folders
    from blended.studies.progress import clips_progress, say

    folders = Folders(root)
    params = read_feature_params(folders.params)
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
