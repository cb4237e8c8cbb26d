"""Tables beside the headline: the top run taken apart, all runs by more measures, what a run relies on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from matplotlib.figure import Figure

from blended.eval.breakdown import Breakdown, GroupScores, Overall
from blended.eval.enrolment_curve import EnrolmentPoint
from blended.eval.estimate import Estimate
from blended.eval.figures.agreement import Agreement
from blended.eval.figures.importance import attention_figure, encoder_weights_figure, gates_figure, pairs_in
from blended.eval.measures import Measure
from blended.eval.report.formats import Cell, Column, Table
from blended.eval.run_record import ALL, Attention, Importance, Weights

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


Draw = Callable[[float], Figure]
"""Width in inches -> figure."""


@dataclass(frozen=True, slots=True)
class ShownWeights:
    """Of every kind of weights, those of the highest run that has them."""

    weights: Weights = field(default_factory=Weights)
    runs: Mapping[str, str] = field(default_factory=dict[str, str])
    """`gates`, `encoder_weights`, `attention` -> the run; kinds that no run has are left out."""


FIELDS = {"gates": "gates", "encoder_weights": "shares", "attention": "attention"}
"""Kind of weights, as figures and tables are named -> field of `Weights`."""


def shown_weights(runs: Sequence[str], given: Mapping[str, Weights]) -> ShownWeights:
    """`runs` in the order of their standing."""
    found, names = Weights(), dict[str, str]()
    for kind, part in FIELDS.items():
        for run in runs:
            if run in given and len(value := getattr(given[run], part)):
                found, names[kind] = replace(found, **{part: value}), run
                break
    return ShownWeights(found, names)


def weight_figures(weights: Weights | None) -> dict[str, Draw]:
    """Those that there is something for."""
    found: dict[str, Draw] = {}
    if weights is None:
        return found
    if weights.gates:
        found["gates"] = lambda width: gates_figure(weights.gates, width_inches=width)
    if weights.shares:
        found["encoder_weights"] = lambda width: encoder_weights_figure(weights.shares, width_inches=width)
    if weights.attention:
        found["attention"] = lambda width: attention_figure(weights.attention, width_inches=width)
    return found


def weight_tables(weighted: ShownWeights) -> list[Table]:
    """The numbers of the figures."""
    weights, found = weighted.weights, list[Table]()
    if weights.gates:
        found.append(gates_table(weighted.runs["gates"], weights.gates))
    if weights.shares:
        found.append(encoder_weights_table(weighted.runs["encoder_weights"], weights.shares))
    if weights.attention:
        found.append(attention_table(weighted.runs["attention"], weights.attention))
    return found


def predictors_table(name: str, predictors: Importance) -> Table:
    """What permuting every named predictor costs: over all clips, where most, and in the CSV by pair."""
    pairs = [pair for pair in pairs_in(predictors) if pair != ALL]
    rows: list[tuple[Cell, ...]] = []
    for predictor, by_pair in predictors.items():
        most = max(pairs, key=lambda pair: _value(by_pair.get(pair)), default=None)
        there = () if most is None else (most, by_pair.get(most))
        rows.append((predictor, by_pair.get(ALL), *there, *(by_pair.get(pair) for pair in pairs)))
    where = (Column("Most for"), Column("There", signed=True)) if pairs else ()
    columns = (
        Column("Predictor"),
        Column(ALL.capitalize(), signed=True),
        *where,
        *(Column(pair, signed=True, long=True) for pair in pairs),
    )
    caption = f"Loss of score where one named predictor is permuted in all its statistics, {name}."
    return Table("predictors", caption, columns, tuple(rows))


def gates_table(name: str, gates: Mapping[str, Mapping[str, float]]) -> Table:
    """Mean weight of every encoder by set of emotions."""
    sets = list(dict.fromkeys(one for row in gates.values() for one in row))
    rows = tuple((one, *(row.get(one) for row in gates.values())) for one in sets)
    caption = f"Mean weight of every encoder by true emotions, {name}."
    return Table("gates", caption, _heads("Set", gates), rows)


def encoder_weights_table(name: str, shares: Mapping[str, Mapping[str, float]]) -> Table:
    """Weight of every encoder by fold."""
    folds = list(dict.fromkeys(one for row in shares.values() for one in row))
    rows = tuple((encoder, *(row.get(fold) for fold in folds)) for encoder, row in shares.items())
    return Table("encoder_weights", f"Weight of every encoder, {name}.", _heads("Encoder", folds), rows)


def attention_table(name: str, attention: Sequence[Attention]) -> Table:
    """Preferred lag of every head."""
    rows: list[tuple[Cell, ...]] = []
    for one in attention:
        for head, (preference, nothing) in enumerate(zip(one.preference, one.nothing, strict=True)):
            best = int(np.argmax(preference))
            which = str(head + 1) if len(one.preference) > 1 else "all"
            rows.append(
                (
                    one.asking, one.answering, one.layer, which,
                    float(one.lags_seconds[best]), float(preference[best]), float(nothing),
                )
            )  # fmt: skip
    heads = ("Asks", "Answers", "Layer", "Head", "Preferred lag, s", "Times even", "To no step")
    columns = tuple(Column(head, signed=head == "Preferred lag, s") for head in heads)
    caption = f"By how much later the step is that gets most attention, by head, {name}."
    return Table("attention", caption, columns, tuple(rows))


def _heads(first: str, others: Mapping[str, object] | Sequence[str]) -> tuple[Column, ...]:
    return (Column(first), *(Column(other) for other in others))


def _value(cell: Estimate | float | None) -> float:
    if cell is None:
        return float("-inf")
    return cell.value if isinstance(cell, Estimate) else cell
