"""`blended data`: make a corpus ready and look at it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from blended.studies.corpus_params import CorpusSource

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
    from blended.data.demo.config import TINY, DemoConfig
    from blended.data.demo.render import render
    from blended.studies.progress import clips_progress, say

    config = TINY.model_copy(update={"seed": seed}) if tiny else DemoConfig(seed=seed)
    with clips_progress("render") as progress:
        render(config, out, workers=workers, log=say, progress=progress)


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="blemore, ravdess, cremad, ..., or table with a card.yaml.")],
    source: Annotated[Path, typer.Argument(help="Folder, zip or folder of zips, as published.")],
    root: Root = Path(),
    labels_only: Annotated[bool, typer.Option("--labels-only", help="Tables without recordings.")] = False,
    folds: Annotated[int | None, typer.Option(min=2, help="Where no folds are published.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of those folds.")] = 0,
) -> None:
    """Bring a corpus into data/corpora, checked; files are hard-linked where the disk allows it."""
    from blended.data.corpora import own_name
    from blended.studies.corpus_params import CorpusSource

    name = own_name(name, source)
    _import(name, CorpusSource(source=source, labels_only=labels_only, num_folds=folds, seed=seed), root)
    params = f"`corpus: {name}` and `corpora.{name}.source: {source}`"
    typer.echo(f"next: {params} in params.yaml, then `blended data check`")


def _import(name: str, given: "CorpusSource", root: Path) -> None:
    from blended.studies.folders import Folders
    from blended.studies.preparing import import_source
    from blended.studies.progress import clips_progress, say

    import_source(name, given, Folders(root), log=say, bar=clips_progress)


@app.command()
def prepare(root: Root = Path(), workers: Workers = CORES) -> None:
    """Put the corpus that params.yaml chooses into data/corpora: render the demo, or import recordings."""
    from blended.studies.folders import Folders
    from blended.studies.params import read_params
    from blended.studies.preparing import prepare_corpus
    from blended.studies.progress import clips_progress, say

    folders = Folders(root)
    prepare_corpus(read_params(folders.params), folders, workers=workers, log=say, bar=clips_progress)


@app.command()
def index(root: Root = Path(), workers: Workers = CORES) -> None:
    """Probe and hash every clip, look and listen, check the corpus, and write data/index."""
    from blended.studies.corpus_params import read_corpus_params
    from blended.studies.folders import Folders
    from blended.studies.preparing import index_corpus
    from blended.studies.progress import clips_progress, show_findings

    folders = Folders(root)
    params = read_corpus_params(folders.params)
    index_corpus(
        params.corpus,
        folders,
        max_failures=params.max_failures,
        workers=workers,
        bar=clips_progress,
        show=show_findings,
    )


@app.command()
def card(
    root: Root = Path(),
    show_people: Annotated[
        bool, typer.Option("--show-people", help="Waveforms of recordings of real people too.")
    ] = False,
) -> None:
    """Write a data card of the indexed corpus into cards/, as HTML and Markdown."""
    from blended.data.atomic import write_text
    from blended.data.corpora import about
    from blended.data.findings import check
    from blended.data.index import read_index
    from blended.eval.card import DataCard, card_html, card_markdown, examples
    from blended.studies.corpus_params import read_corpus_params
    from blended.studies.folders import Folders

    folders = Folders(root)
    corpus = read_corpus_params(folders.params).corpus
    found = read_index(folders.index(corpus))
    shown = examples(found, show_people=show_people)
    made = DataCard(found, tuple(check(found)), about(corpus, folders.corpus(corpus)), shown, show_people)
    write_text(root / "cards" / f"{corpus}.html", card_html(made))
    write_text(root / "cards" / f"{corpus}.md", card_markdown(made))
    typer.echo(f"data card: {root / 'cards' / f'{corpus}.html'}")


@app.command("check")
def check_corpus(root: Root = Path(), workers: Workers = CORES) -> None:
    """Print what is odd about the corpus as it is now; fail where an index would be refused."""
    from blended.data.clip import LEVELS
    from blended.data.findings import check
    from blended.studies.corpus_params import read_corpus_params
    from blended.studies.folders import Folders
    from blended.studies.preparing import judge, measured
    from blended.studies.progress import clips_progress, show_findings

    folders = Folders(root)
    params = read_corpus_params(folders.params)
    findings = check(measured(params.corpus, folders, workers=workers, bar=clips_progress))
    show_findings(findings)
    judge(findings, max_failures=params.max_failures)
    counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    typer.echo(", ".join(f"{count} {level}(s)" for level, count in counts.items()))
