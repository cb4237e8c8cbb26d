"""`blended encoders`: what encoders there are, and their trained weights."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from blended.encoders.encoder import Encoder, EncoderConfig, Output

WeightsFolder = Annotated[
    Path | None,
    typer.Option(
        "--weights-folder",
        help="Folder of trained weights; default: $BLENDED_WEIGHTS, or blended/weights in the user's cache.",
    ),
]

WIDE = 160
"""Characters from which on nothing of the list has to fold."""

app = typer.Typer(help="What encoders there are, and their trained weights.", no_args_is_help=True)


def weights_folder(given: Path | None) -> Path:
    """The folder of trained weights that a command uses."""
    from blended.encoders.weights import default_folder

    return given or default_folder(os.environ)


@app.command("list")
def list_encoders(folder: WeightsFolder = None) -> None:
    """Every encoder: what it perceives, its columns and rate, its network, licence and weights."""
    from rich.console import Console

    from blended.encoders.table import ENCODERS, encoder_config

    where = weights_folder(folder)
    rows = [_row(encoder_config(name), where) for name in ENCODERS]
    rows += [
        Row("timm:<model>", "video", "any", "any", "any", "of the model", "huggingface.co/timm", "fetch"),
        Row("hf:<owner>/<model>", "any", "any", "any", "any", "of the model", "huggingface.co", "fetch"),
    ]
    console = Console()
    for table in _tables(rows, console.width):
        console.print(table)
    Console(stderr=True).print(f"weights are looked for in {where}", style="dim", highlight=False)


class Row(NamedTuple):
    """A line of the list."""

    name: str
    modality: str
    dim: str
    rate_hz: str
    parameters: str
    licence: str
    source: str
    weights: str


def _tables(rows: list[Row], width: int) -> "list[Table]":
    """One table where there is room for it, else two: what is long would fold every line."""
    from rich.table import Column, Table

    short = [Column(name, no_wrap=True) for name in ("encoder", "modality", "dim", "Hz", "parameters")]
    weights = Column("weights", no_wrap=True)
    long = [Column("licence"), Column("source", overflow="fold")]
    if width >= WIDE:
        tables = [Table(*short, *long, weights)]
        for row in rows:
            tables[0].add_row(*row)
        return tables
    tables = [Table(*short, weights), Table(Column("encoder", no_wrap=True), *long)]
    for row in rows:
        tables[0].add_row(*row[:5], row.weights)
        tables[1].add_row(row.name, row.licence, row.source)
    return tables


def _row(config: "EncoderConfig", where: Path) -> Row:
    from blended.data.digits import small
    from blended.encoders.weights import Pretrained, found

    if not isinstance(config, Pretrained):
        dim, rate = _size(config)
        return Row(config.name, config.modality, dim, rate, "-", config.licence, "-", "none")
    state = "here" if found(config, where) else "fetch" if config.source.url else "by hand"
    page = config.source.page.removeprefix("https://")
    dim, rate = _written(config.output)
    millions = f"{small(config.num_parameters / 1e6, 1)} M"
    return Row(config.name, config.modality, dim, rate, millions, config.licence, page, state)


def _size(config: "EncoderConfig") -> tuple[str, str]:
    from blended.data.errors import InputError

    try:
        built = config.build()
    except InputError:  # An extra that is not installed is listed all the same.
        return "extra", "not installed"
    return _written(built)


def _written(output: "Output | Encoder[Any]") -> tuple[str, str]:
    from blended.encoders.table import rate_in_words

    return str(output.dim), rate_in_words(output.rate_hz)


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Encoders: wavlm-large, timm:resnet50, hf:owner/model.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting that chooses the network: model=ViT-L/14.")
    ] = None,
    folder: WeightsFolder = None,
) -> None:
    """Download trained weights; continues where it was interrupted, and checks what came."""
    from blended.data.errors import InputError
    from blended.encoders.fetching import HUB, Hub
    from blended.encoders.fetching import fetch as run
    from blended.encoders.table import encoder_config
    from blended.encoders.weights import HasSource
    from blended.studies.progress import bytes_progress, say

    hub = Hub(os.environ.get("HF_ENDPOINT", HUB).rstrip("/"), os.environ.get("HF_TOKEN", ""))
    for name in names:
        config = encoder_config({"name": name, **pairs(settings or [], "--set")})
        if not isinstance(config, HasSource):
            raise InputError(f"encoder {name} has no weights, so there is nothing to fetch: use it as it is")
        say(f"{name}: licence {config.licence}")
        with bytes_progress(name) as progress:
            run(config.name, config.source, weights_folder(folder), log=say, progress=progress, hub=hub)


def pairs(given: list[str], option: str) -> dict[str, str]:
    """`KEY=VALUE` options as a mapping; raises InputError for others."""
    from blended.data.errors import InputError

    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals or not value:
            raise InputError(f"{option} {text}: expected NAME=VALUE")
        found[key] = value
    return found
