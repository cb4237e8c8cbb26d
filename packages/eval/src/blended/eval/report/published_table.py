"""Published numbers beside ours, each with the protocol that it came from."""

from blended.eval.comparison import Standings
from blended.eval.measures.blends import OF_BLENDS
from blended.eval.published import CORPUS, PUBLISHED, PublishedPair, PublishedRow
from blended.eval.report.formats import Cell, Column, Table
from blended.eval.report.records import Report
from blended.eval.run_record import RunRecord

OURS = "ours, cross-fold"
OURS_IN_FOLD = "ours, in-fold, optimistic"
COLUMNS = (
    Column("System"),
    *(Column(f"{part} {kind}") for part in ("Val.", "Test") for kind in ("presence", "salience", "score")),
    Column("Comparable with ours"),
    Column("Source", long=True),
)
CAPTION = (
    "Our runs (95\N{NO-BREAK SPACE}% intervals) and published systems (± standard deviation over folds) on "
    "BLEMORE. Published validation numbers are optimistic: thresholds and epoch were chosen on the fold that "
    "is reported."
)


def is_comparable(report: Report) -> bool:
    """Whether published numbers may stand beside the runs at all: real clips of the same corpus."""
    return report.corpus.name == CORPUS and not report.corpus.synthetic


def published_table(report: Report, standings: Standings) -> Table:
    """Ours first, then the published ones by falling test score; no rows for any other corpus."""
    rows: list[tuple[Cell, ...]] = []
    if is_comparable(report):
        rows += [row for run in our_runs(standings) for row in _own_rows(run)]
        rows += [_published_row(row) for row in sorted(PUBLISHED, key=_falling)]
    return Table("published", CAPTION, COLUMNS, tuple(rows))


def our_runs(standings: Standings) -> list[RunRecord]:
    """The top run and, if that one is transductive, the best that judges one clip at a time."""
    plain = [run for run in standings.runs if not run.cross_fold.protocol.transductive]
    return list(dict.fromkeys([standings.top, *plain[:1]]))


def _own_rows(run: RunRecord) -> list[tuple[Cell, ...]]:
    test = run.test
    tested = [test[one.key] for one in OF_BLENDS] if test else [None] * len(OF_BLENDS)
    note = OURS + (", transductive" if run.cross_fold.protocol.transductive else "")
    rows: list[tuple[Cell, ...]] = [(run.name, *run.estimates, *tested, note, "this report")]
    if run.in_fold is not None:
        inside = [run.in_fold.measured[one.key] for one in OF_BLENDS]
        values = (*inside, *[None] * len(OF_BLENDS))
        rows.append((f"{run.name}, thresholds", *values, OURS_IN_FOLD, "this report"))
    return rows


def _published_row(row: PublishedRow) -> tuple[Cell, ...]:
    return (row.system, *_cells(row.validation), *_cells(row.test), row.comparable, row.source)


def _cells(pair: PublishedPair | None) -> tuple[Cell, Cell, Cell]:
    return (pair.presence, pair.salience, pair.score) if pair else (None, None, None)


def _falling(row: PublishedRow) -> tuple[bool, float, str]:
    score = row.test.score if row.test else None
    return (score is None, -(score or 0.0), row.system)
