"""What others reported on BLEMORE, and whether it may be put beside a number of ours.

Validation numbers of the corpus paper are optimistic: thresholds and epoch were chosen on the very fold
that is reported. Test numbers are held out, so only test scores of ours compare with them."""

from dataclasses import dataclass

from blended.eval.comparison import Standings
from blended.eval.measures.blends import OF_BLENDS
from blended.eval.report.formats import Cell, Column, MeanStd, Table
from blended.eval.report.records import Report
from blended.eval.run_record import RunRecord

CORPUS = "blemore"
"""The corpus that all rows are of."""

CORPUS_PAPER = "arXiv 2601.13225"
CHALLENGE_PAPER = "arXiv 2603.23650"

OPTIMISTIC = "test only, val. optimistic"
UNTUNED = "both, nothing tuned"
TEST_ONLY = "test, held out"


@dataclass(frozen=True, slots=True)
class PublishedPair:
    """Presence and salience accuracy on one partition."""

    presence: MeanStd | None
    """None where it was not published; so for salience."""
    salience: MeanStd | None
    published_score: float | None = None
    """The challenge score, where it was published itself."""

    @property
    def score(self) -> float | None:
        """As published, else the mean of the two accuracies."""
        if self.published_score is not None or not self.presence or not self.salience:
            return self.published_score
        # Published to three decimals, so half a thousandth is all there can be.
        return round((self.presence.value + self.salience.value) / 2, 4)


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One published system."""

    system: str
    validation: PublishedPair | None
    """Mean over the five published folds."""
    test: PublishedPair | None
    """The held-out partition."""
    comparable: str = OPTIMISTIC
    """With our cross-fold and test scores."""
    source: str = CORPUS_PAPER


def _row(
    system: str, validation: tuple[float, float, float, float], test: tuple[float, float]
) -> PublishedRow:
    """A row of the corpus paper: presence, its std, salience, its std; presence and salience."""
    presence, presence_std, salience, salience_std = validation
    return PublishedRow(
        system,
        PublishedPair(MeanStd(presence, presence_std), MeanStd(salience, salience_std)),
        PublishedPair(MeanStd(test[0]), MeanStd(test[1])),
    )


def _trivial(system: str, validation: tuple[float, float], test: tuple[float, float]) -> PublishedRow:
    pairs = [PublishedPair(MeanStd(presence), MeanStd(salience)) for presence, salience in (validation, test)]
    return PublishedRow(system, *pairs, comparable=UNTUNED)


PUBLISHED: tuple[PublishedRow, ...] = (
    _row("CLIP", (0.266, 0.021, 0.105, 0.012), (0.258, 0.096)),
    _row("ImageBind", (0.290, 0.028, 0.130, 0.008), (0.261, 0.087)),
    _row("OpenFace", (0.228, 0.014, 0.119, 0.014), (0.226, 0.081)),
    _row("VideoMAEv2", (0.273, 0.025, 0.106, 0.014), (0.293, 0.054)),
    _row("Video Swin", (0.225, 0.026, 0.089, 0.033), (0.214, 0.093)),
    _row("HuBERT", (0.243, 0.023, 0.104, 0.024), (0.274, 0.120)),
    _row("WavLM", (0.265, 0.027, 0.121, 0.012), (0.311, 0.084)),
    _row("VideoMAEv2, subsampled", (0.260, 0.030, 0.124, 0.027), (0.231, 0.081)),
    _row("Video Swin, subsampled", (0.210, 0.024, 0.103, 0.020), (0.197, 0.087)),
    _row("ImageBind + WavLM", (0.345, 0.035, 0.170, 0.055), (0.327, 0.114)),
    _row("ImageBind + HuBERT", (0.339, 0.023, 0.158, 0.053), (0.298, 0.084)),
    _row("VideoMAEv2 + WavLM", (0.343, 0.022, 0.140, 0.028), (0.332, 0.102)),
    _row("VideoMAEv2 + HuBERT", (0.332, 0.016, 0.138, 0.012), (0.332, 0.114)),
    PublishedRow(
        "HiCMAE (from the abstract)",
        PublishedPair(None, MeanStd(0.18)),
        PublishedPair(None, MeanStd(0.18)),
    ),
    _trivial("most frequent single emotion", (0.078, 0.000), (0.074, 0.000)),
    _trivial("most frequent blend", (0.057, 0.035), (0.059, 0.036)),
    PublishedRow(
        "FG 2026 challenge, 6th place (12 encoders)",
        None,
        PublishedPair(MeanStd(0.391), MeanStd(0.168), 0.279),
        TEST_ONLY,
        CHALLENGE_PAPER,
    ),
)
"""MLP-512 on aggregated features unless the name says otherwise."""


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
