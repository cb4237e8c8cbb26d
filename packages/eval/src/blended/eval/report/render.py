"""From a `Report` to a page."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from blended.eval.comparison import RunRecord, Standings, standings
from blended.eval.figures import (
    NARROW_INCHES,
    WIDE_INCHES,
    Confusion,
    PairPoints,
    PairResult,
    TwoReadings,
    actors_figure,
    confusion_figure,
    count_confusion,
    footnote,
    forest_figure,
    pair_points,
    pair_results,
    pairs_figure,
    reliability_figure,
    shares_figure,
    svg,
    ternary_figure,
    two_readings,
)
from blended.eval.figures.style import look_of
from blended.eval.report import sentences, tables
from blended.eval.report.clips import ClipResult, check_probabilities, clip_results, worst_and_best
from blended.eval.report.formats import (
    Column,
    Table,
    cell_text,
    interval,
    is_numeric,
    number,
    to_csv,
    to_latex,
    to_markdown,
)
from blended.eval.report.published_table import is_comparable, published_table
from blended.eval.report.records import Report

PACKAGE = "blended.eval.report"
ROWS_SHOWN = 20
"""Of the table of unreadable clips; its CSV has them all."""
FINDINGS_SHOWN = 6
"""Of the findings; the others are folded away on a screen and all there in print."""

USED_BY_TEMPLATE: tuple[Callable[..., object], ...] = (
    tables.beneath,
    tables.mark,
    look_of,
    cell_text,
    interval,
    is_numeric,
    number,
    to_csv,
    to_latex,
)
SHORT_COLUMNS = {"in_fold": Column("In-fold, optimistic"), "gap": Column("Gap", signed=True)}


@dataclass(frozen=True, slots=True, eq=False)
class Probabilities:
    """What the probabilities of the top run show."""

    reliability: TwoReadings
    points: list[PairPoints]
    worst: list[ClipResult]
    best: list[ClipResult]


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What is computed once from a report and shown in several places."""

    report: Report
    standings: Standings
    confusion: Confusion
    """Of the top run, as are the pairs."""
    pairs: list[PairResult]
    given: Probabilities | None
    """None where the probabilities of the top run were not given."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure in two widths, as data URIs."""

    wide: str
    narrow: str


def contents(report: Report) -> Contents:
    """Ranks, compares and counts."""
    table = standings(report.records, seed=report.seed, num_resamples=report.num_resamples)
    top = table.top
    confusion = count_confusion(top.truth, top.cross_fold.decided, report.space)
    pairs = pair_results(top, report.space, seed=report.seed, num_resamples=report.num_resamples)
    return Contents(report, table, confusion, pairs, _probabilities(report, top))


def render_html(report: Report) -> str:
    """One self-contained page: no script, no request. The same report gives the same text."""
    made = contents(report)
    environment = Environment(
        loader=PackageLoader(PACKAGE, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("template.html.j2").render(
        report=report,
        data_uri=data_uri,
        standings=made.standings,
        tables=_tables(made),
        pictures={name: _picture(report, draw) for name, draw in _figures(made).items()},
        sentences=sentences,
        answers=sentences.answers(made.confusion),
        columns=SHORT_COLUMNS,
        rows_shown=ROWS_SHOWN,
        findings_shown=FINDINGS_SHOWN,
        given=made.given,
        published=is_comparable(report),
        **{function.__name__: function for function in USED_BY_TEMPLATE},
    )


def render_markdown(report: Report) -> str:
    """Title, caveats, the headline and the table of runs."""
    table = standings(report.records, seed=report.seed, num_resamples=report.num_resamples)
    runs = tables.runs_table(report, table)
    parts = [f"# {report.title}"]
    parts += [f"> **{sentences.BANNER}**"] if report.corpus.synthetic else []
    parts += [" ".join(sentences.headline(table)), to_markdown(runs).rstrip(), runs.caption]
    parts += [sentences.tuning(report)]
    return "\n\n".join(parts) + "\n"


def report_tables(report: Report) -> dict[str, Table]:
    """Every table by name; `to_csv` and `to_latex` write one."""
    return _tables(contents(report))


def report_figures(report: Report, *, width_inches: float = WIDE_INCHES) -> dict[str, Figure]:
    """Every figure by name; `blended.eval.figures.png` gives the bytes of one."""
    made = contents(report)
    return {name: _noted(report, draw(width_inches)) for name, draw in _figures(made).items()}


def data_uri(content: bytes | str, kind: str) -> str:
    """The content itself as an address.

    >>> data_uri("a,b", "text/csv")
    'data:text/csv;base64,YSxi'
    """
    raw = content.encode() if isinstance(content, str) else content
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


def _probabilities(report: Report, top: RunRecord) -> Probabilities | None:
    if top.name not in report.probabilities:
        return None
    values = report.probabilities[top.name]
    check_probabilities(top, values, report.space)
    worst, best = worst_and_best(clip_results(top, values, report.space))
    points = pair_points(top.truth, values, report.space)
    return Probabilities(two_readings(top.truth, values, report.space), points, worst, best)


def _tables(made: Contents) -> dict[str, Table]:
    found = [
        tables.runs_table(made.report, made.standings),
        tables.differences_table(made.standings),
        tables.confusion_table(made.confusion),
        tables.pairs_table(made.pairs),
        tables.shares_table(made.pairs),
        tables.actors_table(made.standings.top),
        tables.references_table(made.report, made.standings),
        tables.unreadable_table(made.report),
    ]
    if made.given is not None:
        found.append(tables.clips_table(made.standings.top, made.given.worst, made.given.best))
        found.append(tables.reliability_table(made.given.reliability))
    if is_comparable(made.report):
        found.append(published_table(made.report, made.standings))
    warning = sentences.BANNER if made.report.corpus.synthetic else ""
    return {table.name: replace(table, warning=warning) for table in found}


def _figures(made: Contents) -> dict[str, Callable[[float], Figure]]:
    """Name -> a function of the width; those of pairs only where the corpus has pairs."""
    top, pairs = made.standings.top, made.pairs
    ceilings = made.report.ceilings.items()
    scores = {f"oracle, {tables.ceiling_label(seen)}": float(values["score"]) for seen, values in ceilings}
    highest = dict(sorted(scores.items(), key=lambda item: item[1])[-1:])
    found: dict[str, Callable[[float], Figure]] = {
        "forest": lambda width: forest_figure(made.standings, ceilings=highest, width_inches=width),
        "confusion": lambda width: confusion_figure(made.confusion, width_inches=width),
        "actors": lambda width: actors_figure(top, width_inches=width),
    }
    if pairs:
        found["pairs"] = lambda width: pairs_figure(pairs, width_inches=width)
        found["shares"] = lambda width: shares_figure(pairs, width_inches=width)
    if (given := made.given) is not None:
        found["reliability"] = lambda width: reliability_figure(given.reliability, width_inches=width)
        if given.points:
            found["ternary"] = lambda width: ternary_figure(given.points, width_inches=width)
    return found


def _picture(report: Report, draw: Callable[[float], Figure]) -> Picture:
    wide, narrow = (
        data_uri(svg(_noted(report, draw(width))), "image/svg+xml") for width in (WIDE_INCHES, NARROW_INCHES)
    )
    return Picture(wide, narrow)


def _noted(report: Report, figure: Figure) -> Figure:
    """Figures travel without their page, so those of rendered clips say so themselves."""
    return footnote(figure, "rendered clips") if report.corpus.synthetic else figure
