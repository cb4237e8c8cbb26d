"""From a `Report` to a page."""

import base64
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from blended.eval.breakdown import breakdown
from blended.eval.comparison import Standings, standings
from blended.eval.enrolment_curve import EnrolmentPoint
from blended.eval.figures import NARROW_INCHES, WIDE_INCHES, footnote, forest_figure, svg
from blended.eval.figures.style import look_of
from blended.eval.report import detail_tables, sentences, tables
from blended.eval.report.detail_tables import (
    ShownWeights,
    predictors_table,
    shown_weights,
    weight_figures,
    weight_tables,
)
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
from blended.eval.report.published import is_comparable, published_table
from blended.eval.report.records import Report
from blended.eval.report.top_run import Draw, TopRun, figures_of, take_apart
from blended.eval.tasks import TASKS

PACKAGE = "blended.eval.report"
ROWS_SHOWN = 20
"""Of the table of unreadable clips; its CSV has them all."""
PREDICTORS_SHOWN = 12
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
class Contents:
    """What is computed once from a report and shown in several places."""

    report: Report
    standings: Standings
    top: TopRun
    weighted: ShownWeights


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure in two widths, as data URIs."""

    wide: str
    narrow: str


@functools.lru_cache(maxsize=1)
def contents(report: Report) -> Contents:
    """Ranks, compares and counts; once for the page, its tables and its figures."""
    table = standings(report.records)
    name = table.top.name
    top = take_apart(
        table.top,
        report.space,
        report.probabilities.get(name),
        groups=report.groups,
        enrolment=_first(report.enrolment, table),
        importance=report.importance.get(name),
        predictors=report.predictors.get(name),
    )
    weighted = shown_weights([run.name for run in table.runs], report.weights)
    return Contents(report, table, top, weighted)


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
        answers=sentences.answers(made.top.confusion) if made.top.confusion else "",
        task=TASKS[made.standings.top.task],
        enrolled=next((run.name for run in made.standings.runs if run.name in report.enrolment), ""),
        columns=SHORT_COLUMNS,
        rows_shown=ROWS_SHOWN,
        findings_shown=FINDINGS_SHOWN,
        predictors_shown=PREDICTORS_SHOWN,
        given=made.top.given,
        weighted=made.weighted.runs,
        published=is_comparable(report),
        **{function.__name__: function for function in USED_BY_TEMPLATE},
    )


def render_markdown(report: Report) -> str:
    """Title, caveats, the headline and the table of runs."""
    table = contents(report).standings
    runs = tables.runs_table(report, table)
    parts = [f"# {report.title}"]
    parts += [f"> **{sentences.BANNER}**"] if report.corpus.synthetic else []
    parts += [f"> **{note}**" for note in report.notes]
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


@functools.lru_cache(maxsize=1)
def _tables(made: Contents) -> dict[str, Table]:
    report, top = made.report, made.top
    found = [
        tables.runs_table(report, made.standings),
        tables.differences_table(made.standings),
        tables.pairs_table(top.pairs),
        tables.shares_table(top.pairs),
        tables.references_table(report, made.standings),
        tables.unreadable_table(report),
        *_detail_tables(made),
    ]
    if top.confusion is not None:
        found += [tables.confusion_table(top.confusion), tables.actors_table(top.record)]
    if (given := top.given) is not None:
        found.append(tables.clips_table(top.record, given.worst, given.best))
        found.append(tables.reliability_table(given.reliability))
    if is_comparable(report):
        found.append(published_table(report, made.standings))
    warning = sentences.BANNER if report.corpus.synthetic else ""
    return {table.name: replace(table, warning=warning) for table in found}


def _detail_tables(made: Contents) -> list[Table]:
    report, top = made.report, made.top
    found: list[Table] = []
    if top.agreement is not None:
        found.append(detail_tables.intensities_table(top.record.name, top.agreement))
    overall = {
        run.name: breakdown(*run.of_mixtures(), report.probabilities[run.name], report.space).overall
        for run in made.standings.runs
        if run.decides and run.name in report.probabilities
    }
    if overall:
        found.append(detail_tables.quality_table(overall))
    if top.given is not None:
        found += detail_tables.breakdown_tables(top.record.name, top.given.breakdown)
    if top.enrolment:
        name = next(run.name for run in made.standings.runs if run.name in report.enrolment)
        found.append(detail_tables.enrolment_table(name, top.enrolment, TASKS[top.record.task].headline))
    if top.importance is not None:
        found.append(detail_tables.importance_table(top.record.name, top.importance))
    if top.predictors is not None:
        found.append(predictors_table(top.record.name, top.predictors))
    found += weight_tables(made.weighted)
    if report.without:
        found.append(detail_tables.without_table(report.without))
    return found


def _first(curves: Mapping[str, Sequence[EnrolmentPoint]], table: Standings) -> Sequence[EnrolmentPoint]:
    """Of the highest run that has one."""
    return next((curves[run.name] for run in table.runs if run.name in curves), ())


def _figures(made: Contents) -> dict[str, Draw]:
    """Name -> a function of the width."""
    standing = made.standings
    tied = {run.name for run in standing.tied}
    ceilings = made.report.ceilings.items()
    scores = {f"oracle, {tables.ceiling_label(seen)}": float(values["score"]) for seen, values in ceilings}
    highest = dict(sorted(scores.items(), key=lambda item: item[1])[-1:])
    return {
        "forest": lambda width: forest_figure(
            standing.runs, standing.baselines, tied, ceilings=highest, width_inches=width
        ),
        **figures_of(made.top),
        **weight_figures(made.weighted.weights),
    }


def _picture(report: Report, draw: Draw) -> Picture:
    wide, narrow = (
        data_uri(svg(_noted(report, draw(width))), "image/svg+xml") for width in (WIDE_INCHES, NARROW_INCHES)
    )
    return Picture(wide, narrow)


def _noted(report: Report, figure: Figure) -> Figure:
    """Figures travel without their page, so those of rendered clips say so themselves."""
    return footnote(figure, "rendered clips") if report.corpus.synthetic else figure
