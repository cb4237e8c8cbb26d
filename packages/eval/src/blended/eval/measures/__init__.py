"""Measures: what answers are judged by. A table, `MEASURES`, names them all.

A new one is a constant in a file of its own and a line here: it is then evaluated, given an interval, shown
and tracked wherever the others of its tasks are.
"""

from blended.data.labels import Task
from blended.eval.measures.agreement import MEAN_CONCORDANCE, MEAN_PEARSON
from blended.eval.measures.blends import PRESENCE, SALIENCE, SCORE
from blended.eval.measures.measure import Labels, Measure, Terms, alone, spread_of
from blended.eval.measures.recall import UNWEIGHTED_RECALL, WEIGHTED_RECALL

MEASURES: dict[str, Measure] = {
    "presence_accuracy": PRESENCE,
    "salience_accuracy": SALIENCE,
    "score": SCORE,
    "unweighted_recall": UNWEIGHTED_RECALL,
    "weighted_recall": WEIGHTED_RECALL,
    "mean_pearson": MEAN_PEARSON,
    "mean_concordance": MEAN_CONCORDANCE,
}
"""By key, in the order in which they are shown."""

__all__ = [
    "MEASURES",
    "Labels",
    "Measure",
    "Terms",
    "alone",
    "measures_of",
    "spread_of",
]


def measures_of(task: Task) -> tuple[Measure, ...]:
    """Those of a task, in the order of the table."""
    return tuple(one for one in MEASURES.values() if task in one.tasks)
