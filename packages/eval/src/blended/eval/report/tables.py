"""The tables of a report."""

import numpy as np

from blended.eval.comparison import Comparison, Standings
from blended.eval.figures import Confusion, PairResult, TwoReadings, actor_results
from blended.eval.report import sentences
from blended.eval.report.formats import Cell, Column, Scale, Table
from blended.eval.report.records import Report
from blended.eval.report.top_run import ClipResult
from blended.eval.run_record import RunRecord
from blended.eval.tasks import TASKS

OF_BLENDS = (
    Column("Test score"),
    Column("Test presence", long=True),
    Column("Test salience", long=True),
    Column("In-fold, optimistic"),
    Column("Gap", signed=True),
)
"""Columns of the runs table that other tasks have no use for."""
TESTED = ("score", "presence_accuracy", "salience_accuracy")
"""What the first of them show."""


def measure_columns(standings: Standings, *, signed: bool = False) -> tuple[Column, ...]:
    """What runs of this task are measured by."""
    task = TASKS[standings.top.task]
    # Runs are ranked by the headline, so two that differ must not look the same.
    ranked: dict[str, Scale] = {} if signed else {task.headline.key: "rank"}
    return tuple(Column(m.title, signed=signed, scale=ranked.get(m.key, "share")) for m in task.measures)


def mark(standings: Standings, record: RunRecord) -> str:
    """`top` for a run that all others are below; `≈ top` for runs that cannot be told apart; else empty."""
    tied = {run.name for run in standings.tied}
    if record.name == standings.top.name:
        return "≈ top" if tied else "top"
    return "≈ top" if record.name in tied else ""


def beneath(record: RunRecord) -> str:
    """What stands below the name of a run: what it is made of and, unless none, every caveat."""
    notes = [f"{record.strategy}: {' + '.join(record.features)}"]
    notes += [note for note in record.cross_fold.protocol.label.split(", ") if note != "cross-fold"]
    return ", ".join(notes)


def runs_table(report: Report, standings: Standings) -> Table:
    """Trained runs by falling score, everything beside it."""
    columns = (
        Column("Run"),
        Column("Corpus", long=True),
        Column("Strategy", long=True),
        Column("Features", long=True),
        Column("Modality"),
        Column("Protocol", long=True),
        *measure_columns(standings),
        Column("Mark"),
        Column("Difference to top", signed=True, long=True),
        Column("p Holm", p_value=True, long=True),
        *(OF_BLENDS if standings.top.task == "mixture" else ()),
        Column("Run id", long=True),
    )
    caption = (
        f"Cross-fold results of {len(standings.runs)} runs. {sentences.intervals(standings.top.basis)} "
        f"≈ top: cannot be told apart from the run with the highest "
        f"{TASKS[standings.top.task].headline.words}."
    )
    if standings.top.task == "mixture":
        caption += " In-fold scores are of two thresholds and optimistic; the gap is to the same, cross-fold."
    corpus = report.corpus.name + (" (synthetic)" if report.corpus.synthetic else "")
    rows = tuple(_run_row(corpus, standings, record) for record in standings.runs)
    return Table("runs", caption, columns, rows)


def _run_row(corpus: str, standings: Standings, record: RunRecord) -> tuple[Cell, ...]:
    test, inside = record.test, record.in_fold
    against: Comparison | None = None
    if record.name != standings.top.name:
        against = standings.between(record.name, standings.top.name)
    return (
        record.name,
        corpus,
        record.strategy,
        " + ".join(record.features),
        record.modality,
        record.cross_fold.protocol.label,
        *record.estimates,
        mark(standings, record),
        against.score if against else None,
        against.p_holm if against else None,
        *(
            (
                *((test[key] for key in TESTED) if test else (None,) * len(TESTED)),
                inside.headline.value if inside else None,
                record.gap,
            )
            if record.task == "mixture"
            else ()
        ),
        record.run_id,
    )


def differences_table(standings: Standings) -> Table:
    """The best multimodal run minus the best of every modality; no rows where one kind is missing."""
    columns = (
        Column("Multimodal"),
        Column("Minus"),
        Column("Modality"),
        *measure_columns(standings, signed=True),
        Column("p", p_value=True),
        Column("p Holm", p_value=True),
    )
    multimodal = standings.best_of("multimodal")
    rows: list[tuple[Cell, ...]] = []
    for modality in standings.unimodal if multimodal else ():
        unimodal = standings.best_of(modality)
        assert multimodal and unimodal
        one = standings.between(multimodal.name, unimodal.name)
        rows.append((one.first, one.second, modality, *one.differences, one.p, one.p_holm))
    caption = "Paired differences of the best multimodal run and the best of each modality."
    return Table("differences", caption, columns, tuple(rows))


def references_table(report: Report, standings: Standings) -> Table:
    """Trivial baselines from below, the oracle from above, and how far the top run is from the former."""
    columns = (Column("Reference"), *measure_columns(standings), Column("Top minus it", signed=True))
    rows: list[tuple[Cell, ...]] = []
    for record in standings.baselines:
        gap = standings.between(standings.top.name, record.name).score
        rows.append((record.name, *record.estimates, gap))
    for label, values in report.ceilings.items():
        accuracies = [float(values[key]) for key in ("presence_accuracy", "salience_accuracy", "score")]
        rows.append((f"oracle: {ceiling_label(label)}", *accuracies, standings.top.score - accuracies[2]))
    caption = "What the label counts alone give, and what the clean parameters of the clips would allow."
    return Table("references", caption, columns, tuple(rows))


def ceiling_label(name: str) -> str:
    """What the oracle sees, in words.

    >>> ceiling_label("face_voice_and_timing")
    'face, voice and timing'
    """
    words = name.split("_")
    return " ".join(
        word + ("," if later not in ("and", "") and word != "and" else "")
        for word, later in zip(words, [*words[1:], ""], strict=True)
    )


def confusion_table(confusion: Confusion) -> Table:
    """Counts of clips, true sets as rows."""
    columns = (Column("True"), *(Column(name) for name in confusion.columns))
    counts = confusion.counts.tolist()
    rows = tuple((name, *row) for name, row in zip(confusion.rows, counts, strict=True))
    return Table("confusion", "Clips by true (rows) and decided (columns) set of emotions.", columns, rows)


def pairs_table(pairs: list[PairResult]) -> Table:
    """Per pair, found and found with its shares."""
    columns = (Column("Pair"), Column("Clips"), Column("Pair found"), Column("With its shares"))
    rows = tuple((pair.name, pair.num_clips, pair.presence, pair.salience) for pair in pairs)
    return Table("pairs", "Per pair of emotions.", columns, rows)


def shares_table(pairs: list[PairResult]) -> Table:
    """Counts of clips by pair, true and decided share of the first emotion."""
    columns = tuple(Column(name) for name in ("Pair", "True share", "Decided share", "Clips"))
    rows: list[tuple[Cell, ...]] = []
    for pair in pairs:
        for (row, column), count in np.ndenumerate(pair.counts):
            decided = str(pair.shares[column]) if column < len(pair.shares) else "else"
            rows.append((pair.name, str(pair.shares[row]), decided, int(count)))
    caption = "Clips by true and decided share, in percent of the first emotion."
    return Table("shares", caption, columns, tuple(rows))


def actors_table(record: RunRecord) -> Table:
    """Per actor, presence accuracy of one run."""
    columns = tuple(Column(name) for name in ("Actor", "Fold", "Clips", "Presence"))
    rows = tuple((one.actor, one.fold, one.num_clips, one.presence_accuracy) for one in actor_results(record))
    return Table("actors", f"Presence accuracy of {record.name} per actor.", columns, rows)


def clips_table(record: RunRecord, worst: list[ClipResult], best: list[ClipResult]) -> Table:
    """The clips that one run reads worst, then those that it reads best."""
    heads = ("Clip", "Kind", "Actor", "True", "Decided", "On true emotions", "Where it belongs")
    rows = tuple(
        (one.clip_id, kind, one.actor, one.true.name, one.decided.name, one.true_emotions, one.overlap)
        for kind, some in (("worst", worst), ("best", best))
        for one in some
    )
    caption = (
        f"Clips that {record.name} reads worst and best: probability on the true emotions together, and "
        f"where it belongs, by the true shares."
    )
    return Table("clips", caption, tuple(Column(head) for head in heads), rows)


def reliability_table(found: TwoReadings) -> Table:
    """Per bin of probabilities, how often the emotion was present and its mean true share."""
    heads = ("Probability", "Present", "True share", "Count")
    presence, shares = found.presence, found.shares
    columns = (presence.said, presence.found, shares.found, presence.counts)
    rows = tuple(zip(*(column.tolist() for column in columns), strict=True))
    caption = "Mean probability per bin, and how often the emotion was there."
    return Table("reliability", caption, tuple(Column(head) for head in heads), rows)


def unreadable_table(report: Report) -> Table:
    """Clips that could not be read."""
    rows = tuple((clip.clip_id, clip.reason) for clip in report.unreadable)
    return Table("unreadable", "Clips that could not be read.", (Column("Clip"), Column("Reason")), rows)
