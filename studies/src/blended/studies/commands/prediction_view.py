"""Predictions on a terminal."""

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from blended.data import Mixture
from blended.data.digits import chance
from blended.studies.answers import Answer, Prediction, ranked

MAX_STRETCHES = 60
"""Of one file: more is nothing that anybody reads on a terminal."""


def print_predictions(emotions: Sequence[str], predictions: Sequence[Prediction]) -> None:
    """A row per file, timelines below, and every note once with the files that it is about."""
    console = Console()
    table = Table(
        box=SIMPLE_HEAD, caption="s: seconds; per emotion: calibrated probability", padding=(0, 1, 0, 0)
    )
    table.add_column("file", no_wrap=True)
    for name in ("s", "decided", *emotions):
        table.add_column(name, justify="left" if name == "decided" else "right")
    for prediction in predictions:
        whole = prediction.whole
        table.add_row(prediction.path.name, f"{whole.end_seconds - whole.start_seconds:.1f}", *_answer(whole))
    console.print(table)
    for prediction in predictions:
        if prediction.timeline:
            console.print(_timeline(prediction, emotions))
    for note in dict.fromkeys(note for prediction in predictions for note in prediction.notes):
        about = [prediction.path.name for prediction in predictions if note in prediction.notes]
        which = "" if len(about) == len(predictions) else f"{', '.join(about)}: "
        console.print(f"{which}{note}", style="dim", highlight=False, markup=False)


def shares_in_words(mixture: Mixture | None) -> str:
    """`ang 70 %, hap 30 %`; a lone emotion without its share; a dash for intensities."""
    if mixture is None:
        return "\N{EN DASH}"
    if not mixture.is_blend:
        return mixture.name
    return ", ".join(f"{emotion} {share:g} %" for emotion, share in ranked(mixture))


def _answer(answer: Answer) -> list[str]:
    return [shares_in_words(answer.decided), *(chance(p) for p in answer.calibrated)]


def _timeline(prediction: Prediction, emotions: Sequence[str]) -> Table:
    found = stretches(prediction.timeline)
    rest = len(found) - MAX_STRETCHES
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=f"{prediction.path.name}: {prediction.method}",
        caption=f"and {rest} more stretches: --json has every window" if rest > 0 else None,
    )
    for name in ("from", "to", "decided", *emotions):
        table.add_column(name, justify="left" if name == "decided" else "right")
    for answer in found[:MAX_STRETCHES]:
        table.add_row(_clock(answer.start_seconds), _clock(answer.end_seconds), *_answer(answer))
    return table


def stretches(timeline: Sequence[Answer]) -> list[Answer]:
    """Neighbouring windows with one decision as one answer, with their mean probabilities.

    Windows overlap; stretches do not: one ends half way between the middles of the windows on either side.
    """
    middles = [(answer.start_seconds + answer.end_seconds) / 2 for answer in timeline]
    ends = [(before + after) / 2 for before, after in pairwise(middles)]
    starts = [timeline[0].start_seconds, *ends] if timeline else []
    ends += [answer.end_seconds for answer in timeline[-1:]]
    merged: list[Answer] = []
    for decided, group in groupby(range(len(timeline)), key=lambda number: timeline[number].decided):
        numbers = list(group)
        answers = [timeline[number] for number in numbers]
        merged.append(
            Answer(
                starts[numbers[0]],
                ends[numbers[-1]],
                decided,
                np.mean([answer.probabilities for answer in answers], axis=0),
                np.mean([answer.calibrated for answer in answers], axis=0),
            )
        )
    return merged


def _clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> _clock(75.5)
    '1:15.5'
    """
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:04.1f}"
