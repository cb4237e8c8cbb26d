"""From a `DataCard` to a page and to Markdown."""

import base64
from importlib.resources import files

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from blended.eval.card.content import MEASURES, DataCard, Example, card_tables
from blended.eval.report.formats import cell_text, is_numeric, to_markdown

BANNER = "This corpus is synthetic: it was rendered, shows nobody, and says nothing about people."
PEOPLE = "The recordings are of identifiable people: pictures and sounds of theirs are not shown here."
ROWS_SHOWN = 200
"""Of a table on the page; Markdown has them all."""

TASKS = {
    "mixture": "which one or two emotions are present, and in which shares",
    "single": "which emotion is present",
    "intensities": "how strong each emotion is",
}
HEADINGS = {
    "labels": "Labels",
    "folds": "Partitions",
    "measures": "Length, loudness, voice",
    "media": "Files",
    "actors": "Actors",
    "findings": "Findings",
}
"""Table -> heading, in the order of the page."""


def card_html(card: DataCard) -> str:
    """One self-contained page: no script, no request. The same card gives the same text."""
    environment = Environment(
        loader=PackageLoader("blended.eval.card", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (files("blended.eval.report") / "style.css").read_text(encoding="utf-8")
    return environment.get_template("template.html.j2").render(
        card=card,
        corpus=card.index.corpus,
        facts=facts(card),
        tables=card_tables(card),
        headings=HEADINGS,
        histograms=_histograms(card),
        sounds={example.clip_id: _sound(example) for example in card.examples if len(example.envelope)},
        style=Markup(style),
        banner=BANNER,
        people=PEOPLE,
        rows_shown=ROWS_SHOWN,
        cell_text=cell_text,
        is_numeric=is_numeric,
        png=lambda content: base64.b64encode(content).decode(),
    )


def card_markdown(card: DataCard) -> str:
    """The same facts and tables as text; no pictures."""
    parts = [f"# {card.about.title}"]
    parts += [f"> **{BANNER}**"] if card.index.corpus.synthetic else [f"> {PEOPLE}"]
    parts.append("\n".join(f"- **{name}:** {value}" for name, value in facts(card).items()))
    made = card_tables(card)
    for name, heading in HEADINGS.items():
        if name in made:
            parts += [f"## {heading}", made[name].caption, to_markdown(made[name]).rstrip()]
    return "\n\n".join(parts) + "\n"


def facts(card: DataCard) -> dict[str, str]:
    """What stands at the top: heading to words."""
    corpus, table = card.index.corpus, card.index.table
    actors = {clip.actor for clip in corpus.train}
    seconds = table["duration_seconds"].sum()
    test = f"; {len(corpus.test)} held out" if corpus.test else ""
    found = {
        "Corpus": corpus.name,
        "Task": TASKS[corpus.space.task],
        "Emotions": ", ".join(corpus.space.emotions),
        "Clips": f"{len(corpus.train)} labelled, of {len(actors)} actors in {len(corpus.folds)} folds{test}",
        "Recordings": f"{seconds / 60:.1f} minutes" if corpus.has_media else "none here: labels only",
        "Licence": card.about.licence,
        "Citation": card.about.citation,
        "Source": card.about.url,
        "Identity": card.index.corpus_hash,
    }
    return {name: value for name, value in found.items() if value}


def _histograms(card: DataCard) -> dict[str, Markup]:
    """What is measured -> its drawing, where anything was."""
    made: dict[str, Markup] = {}
    for name, title in MEASURES.items():
        values = card.index.table[name].drop_nulls().to_numpy()
        if len(values):
            made[title] = Markup(histogram(values, f"{title} of {len(values)} clips"))
    return made


def _sound(example: Example) -> Markup:
    title = f"{example.clip_id}: {example.seconds:.1f} seconds of sound"
    return Markup(waveform(example.envelope, title))


WIDTH, HEIGHT = 640, 120
BAR, MUTED = "#0b4f8a", "#5d6470"
NUM_BINS = 32


def histogram(values: NDArray[np.float64], title: str) -> str:
    """Counts over 32 equal steps from the lowest to the highest value; `title` is read aloud."""
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, bins=NUM_BINS, range=(low, high if high > low else low + 1))
    step = WIDTH / NUM_BINS
    tops = HEIGHT * (1 - counts / counts.max())
    bars = "".join(
        f'<rect x="{k * step + 1:.1f}" y="{top:.1f}" width="{step - 2:.1f}" height="{HEIGHT - top:.1f}"/>'
        for k, top in enumerate(tops.tolist())
        if top < HEIGHT
    )
    ends = (
        f'<text x="0" y="{HEIGHT + 16}">{low:.2f}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + 16}" text-anchor="end">{high:.2f}</text>'
    )
    return _svg(title, HEIGHT + 20, f'<g fill="{BAR}">{bars}</g><g fill="{MUTED}" font-size="12">{ends}</g>')


def waveform(envelope: NDArray[np.float32], title: str) -> str:
    """Between the lowest and the highest sample of every stretch; scaled to the loudest, which is named."""
    peak = float(np.abs(envelope).max()) or 1.0
    middle, scale = HEIGHT / 2, HEIGHT / 2 / peak
    x = np.linspace(0, WIDTH, len(envelope))
    upper = [f"{a:.1f},{middle - scale * b:.1f}" for a, b in zip(x, envelope[:, 1], strict=True)]
    lower = [f"{a:.1f},{middle - scale * b:.1f}" for a, b in zip(x, envelope[:, 0], strict=True)]
    points = " ".join([*upper, *lower[::-1]])
    return _svg(title, HEIGHT, f'<polygon fill="{BAR}" points="{points}"/>')


def _svg(title: str, height: int, inner: str) -> str:
    escaped = title.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg" '
        f'style="width:100%;height:auto"><title>{escaped}</title>{inner}</svg>'
    )
