"""`blended data`: make a corpus ready and look at it."""

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Make a corpus ready, index it, check it.", no_args_is_help=True)

Root = Annotated[Path, typer.Option(help="Folder of params.yaml.")]
Workers = Annotated[int, typer.Option(min=1, help="Worker processes.")]
CORES = os.cpu_count() or 1


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(help="Folder to render into.")],
    seed: Annotated[int, typer.Option(help="Same seed, same corpus.")] = 0,
    workers: Workers = CORES,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="A hundred short clips, for trying things out.")
    ] = False,
) -> None:
    """Render the synthetic demo corpus: drawn faces, synthesised voices, BLEMORE's layout."""
    from blended.data.demo import DemoConfig, render
    from blended.data.demo.config import TINY
    from blended.studies.commands.progress import clips_progress, say

    config = TINY.model_copy(update={"seed": seed}) if tiny else DemoConfig(seed=seed)
    with clips_progress("render") as progress:
        render(config, out, workers=workers, log=say, progress=progress)


@app.command()
def prepare(root: Root = Path(), workers: Workers = CORES) -> None:
    """Put the corpus that params.yaml chooses into data/corpora: render the demo, or link recordings."""
    from blended.data.demo import render
    from blended.data.errors import InputError
    from blended.studies.commands.progress import clips_progress, say
    from blended.studies.folders import Folders
    from blended.studies.linking import link_tree
    from blended.studies.params import read_params

    folders = Folders(root)
    params = read_params(folders.params)
    folder = folders.corpus(params.corpus)
    with clips_progress(params.corpus) as progress:
        if params.corpus == "demo":
            render(params.corpora.demo, folder, workers=workers, log=say, progress=progress)
            return
        settings = params.corpora.blemore
        if settings is None:
            raise InputError(
                f"{folders.params}: corpus is {params.corpus!r} but corpora.{params.corpus}.source is not "
                f"set: say in which folder the recordings lie (train/, test/, train_metadata.csv)"
            )
        link_tree(settings.source, folder, progress)


@app.command()
def index(root: Root = Path(), workers: Workers = CORES) -> None:
    """Probe and hash every clip, check the corpus, and write data/index."""
    from blended.data.corpora import read_corpus
    from blended.data.findings import check
    from blended.data.index import build_index, write_index
    from blended.studies.commands.findings import judge, write_findings
    from blended.studies.commands.progress import clips_progress
    from blended.studies.folders import Folders
    from blended.studies.params import read_params

    folders = Folders(root)
    params = read_params(folders.params)
    corpus = read_corpus(params.corpus, folders.corpus(params.corpus))
    with clips_progress("index") as progress:
        made = build_index(corpus, folders.cache, workers=workers, progress=progress)
    findings = check(made)
    judge(findings, max_failures=params.max_failures)
    write_findings(folders.findings(params.corpus), findings)
    write_index(made, folders.index(params.corpus))


@app.command("check")
def check_corpus(root: Root = Path()) -> None:
    """Print what is wrong with the indexed corpus."""
    from blended.data.findings import check
    from blended.data.index import read_index
    from blended.studies.commands.findings import judge
    from blended.studies.folders import Folders
    from blended.studies.params import read_params

    folders = Folders(root)
    params = read_params(folders.params)
    judge(check(read_index(folders.index(params.corpus))), max_failures=params.max_failures)
