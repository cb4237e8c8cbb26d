"""Tables beside the headline: the top run taken apart, all runs by more measures, what a run relies on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from blended.eval.breakdown import Breakdown, Overall
from blended.eval.detail import GroupScores
from blended.eval.enrolment_curve import EnrolmentPoint
from blended.eval.figures.agreement import Agreement
from blended.eval.figures.importance import pairs_in
from blended.eval.importance import Importance
from blended.eval.measures import Measure
from blended.eval.report.formats import Cell, Column, Table

HEADS = {
    "macro_presence": "Macro",
    "salience_given_presence": "Given presence",
    "share_pearson": "Pearson",
    "share_distance": "EMD",
    "decided_distance": "EMD decided",
    "calibration_error": "ECE",
    "confidence_error": "ECE top",
}
"""Field of `Overall` -> head of a column."""
ACCURACIES = ("Clips", "Blends", "Presence", "Salience")


def quality_table(overall: Mapping[str, Overall]) -> Table:
    """Every run by single numbers over all clips pooled."""
    lines = [asdict(one) for one in overall.values()]
    # Some have no meaning for single labels.
    keys = [key for key in HEADS if any(line[key] is not None for line in lines)]
    columns = _columns(("Run", *(HEADS[key] for key in keys)))
    rows = tuple((name, *map(line.get, keys)) for name, line in zip(overall, lines, strict=True))
    caption = (
        "All clips pooled. Macro: mean presence over sets. Given presence: salience of the blends found. "
        "Pearson and EMD (earth mover's distance, the share that must move) of probabilities; "
        "EMD decided: of decisions. ECE: expected calibration error over emotions, and of the most probable."
    )
    return Table("quality", caption, columns, rows)


def emotions_table(name: str, found: Breakdown) -> Table:
    """Per emotion, how well its presence is found."""
    heads = ("Emotion", "Clips with it", "Precision", "Recall", "F1")
    rows = tuple((e, one.clips, one.precision, one.recall, one.f1) for e, one in found.emotions.items())
    return Table("emotions", f"Presence of every emotion, {name}.", _columns(heads), rows)


def groups_table(table: str, caption: str, head: str, groups: Mapping[str, GroupScores]) -> Table:
    """The official accuracies of some groups of clips; without those of blends where there are none."""
    if not any(one.blends for one in groups.values()):
        plain = tuple((key, one.clips, one.presence) for key, one in groups.items())
        return Table(table, caption, _columns((head, "Clips", "Presence")), plain)
    rows = tuple((key, one.clips, one.blends, one.presence, one.salience) for key, one in groups.items())
    return Table(table, caption, _columns((head, *ACCURACIES)), rows)


def breakdown_tables(name: str, found: Breakdown) -> list[Table]:
    """The top run by emotion, by shares of blends and by any other grouping of clips."""
    tables = [emotions_table(name, found)]
    if found.shares:
        tables.append(groups_table("by_share", f"Blends by their shares, {name}.", "Shares", found.shares))
    for grouping, groups in found.groups.items():
        key = f"by_{grouping.replace(' ', '_')}"
        tables.append(groups_table(key, f"Clips by {grouping}, {name}.", grouping.capitalize(), groups))
    return tables


def intensities_table(name: str, found: Agreement) -> Table:
    """Per emotion, correlation and concordance of intensities."""
    rows = tuple((emotion, *estimates) for emotion, estimates in found.items())
    return Table("emotions", f"Every emotion, {name}.", _columns(("Emotion", "Pearson", "CCC")), rows)


def enrolment_table(name: str, points: Sequence[EnrolmentPoint], headline: Measure) -> Table:
    """The headline of the task by number of clips that a person is normalised from."""
    columns = (*_columns(("Clips", "Drawn", "Draws", headline.title)), Column("Gain over none", signed=True))
    rows = tuple((one.clips, one.drawn or "-", one.repeats, one.score, one.gain) for one in points)
    caption = (
        f"{headline.words.capitalize()} by clips of a person that scores are normalised from, {name} "
        f"(transductive)."
    )
    return Table("enrolment", caption, columns, rows)


def importance_table(name: str, importance: Importance) -> Table:
    """What permuting every predictor costs, by pair."""
    rows = tuple((pair, *(row.get(pair) for row in importance.values())) for pair in pairs_in(importance))
    columns = (Column("Pair"), *(Column(predictor, signed=True) for predictor in importance))
    return Table("importance", f"Loss of score where a predictor is permuted, {name}.", columns, rows)


def without_table(without: Mapping[str, Mapping[str, Sequence[Cell]]]) -> Table:
    """What is left of a run where one modality is not given."""
    rows = tuple(
        (run, left_out, *cells) for run, lines in without.items() for left_out, cells in lines.items()
    )
    heads = ("Run", "Without", "Presence", "Salience", "Score")
    return Table("without", "Runs with one modality left out.", _columns(heads), rows)


def _columns(heads: Sequence[str]) -> tuple[Column, ...]:
    return tuple(Column(head) for head in heads)
