"""An evaluation on a terminal: folds and means, then where decisions are right."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from blended.data.digits import apart, signed, small
from blended.eval.breakdown import OVERALL_WORDS, Breakdown, GroupScores
from blended.eval.calibration import ReliabilityChange
from blended.eval.evaluation import Evaluation
from blended.eval.measures import MEASURES
from blended.eval.protocol import UNKNOWN_NESTING


def print_evaluation(result: Evaluation) -> None:
    """The table of folds and the means with their intervals."""
    names = list(result.folds[0].parameters)
    per_fold = [MEASURES[key] for key in result.folds[0].numbers]
    heads = ("fold", "clips", *(one.title.lower() for one in per_fold), *names)
    table = _table(result.protocol.label, heads)
    parameters = [apart([fold.parameters[name] for fold in result.folds]) for name in names]
    for row, fold in enumerate(result.folds):
        table.add_row(
            str(fold.fold),
            str(fold.clips),
            *(small(fold.numbers[measure.key]) for measure in per_fold),
            *(column[row] for column in parameters),
        )
    console = Console()
    console.print(table)
    for key, estimate in result.measured.items():
        console.print(f"  {MEASURES[key].words:<20} {estimate}", highlight=False)
    console.print(f"means over folds; {result.basis.sentence}", style="dim", highlight=False)
    if result.protocol.fits and result.protocol.nesting == "unknown":
        console.print(UNKNOWN_NESTING, style="dim")


def print_note(sentence: str) -> None:
    """A caveat under the means."""
    Console().print(sentence, style="yellow")


def print_gap(in_fold: Evaluation, cross_fold: Evaluation) -> None:
    """What tuning on the reported fold adds."""
    optimistic, honest = in_fold.measured["score"], cross_fold.measured["score"]
    Console().print(
        f"optimistic: tuned on the folds that are reported; the same thresholds cross-fold score {honest}, "
        f"{signed(optimistic.value - honest.value)} is the gap",
        style="yellow",
    )


def print_breakdown(found: Breakdown) -> None:
    """Single numbers, then by emotion, pair, share and every grouping of clips."""
    console = Console()
    console.print("\nall clips pooled:")
    for field, value in asdict(found.overall).items():
        console.print(f"  {OVERALL_WORDS[field]:<34}{_number(value)}", highlight=False)
    emotions = _table("by emotion", ("emotion", "clips with it", "precision", "recall", "F1"))
    for name, one in found.emotions.items():
        emotions.add_row(name, str(one.clips), *(_number(v) for v in (one.precision, one.recall, one.f1)))
    console.print(emotions)
    console.print(_groups("by pair", found.pairs))
    console.print(_groups("by shares", found.shares))
    for name, groups in found.groups.items():
        console.print(_groups(f"by {name}", groups))


def print_reliability(change: ReliabilityChange) -> None:
    """Calibration errors before and after."""
    Console().print(
        f"calibration error, mean over emotions {small(change.classwise_before)} -> "
        f"{small(change.classwise_after)}; of the most probable {small(change.confidence_before)} -> "
        f"{small(change.confidence_after)}"
    )


def _groups(title: str, groups: Mapping[str, GroupScores]) -> Table:
    """Without the measure of blends where no group has any."""
    blends = any(one.blends for one in groups.values())
    heads = (title.removeprefix("by "), "clips", "presence", *(["salience"] if blends else []))
    table = _table(title, heads)
    for name, one in groups.items():
        salience = [_number(one.salience)] if blends else []
        table.add_row(name, str(one.clips), _number(one.presence), *salience)
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    return table


def _number(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else small(value)
