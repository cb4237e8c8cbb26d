"""Figures of a report, also used singly: a function returns a matplotlib `Figure`, `png` and `svg` its bytes.

No global state of matplotlib is left changed and no window system is needed.
"""

from blended.eval.figures.agreement import (
    TwoReadings,
    agreement_figure,
    reliability_figure,
    run_figure,
    target_shares,
    two_readings,
)
from blended.eval.figures.confusion import Confusion, confusion_figure, count_confusion, kinship_order
from blended.eval.figures.forest import forest_figure
from blended.eval.figures.importance import (
    attention_figure,
    encoder_weights_figure,
    gates_figure,
    importance_figure,
)
from blended.eval.figures.pairs import (
    PairPoints,
    PairResult,
    pair_points,
    pair_results,
    pairs_figure,
    shares_figure,
    ternary_figure,
)
from blended.eval.figures.people import actor_results, actors_figure, enrolment_figure
from blended.eval.figures.style import NARROW_INCHES, WIDE_INCHES, footnote, png, save, svg

__all__ = [
    "NARROW_INCHES",
    "WIDE_INCHES",
    "Confusion",
    "PairPoints",
    "PairResult",
    "TwoReadings",
    "actor_results",
    "actors_figure",
    "agreement_figure",
    "attention_figure",
    "confusion_figure",
    "count_confusion",
    "encoder_weights_figure",
    "enrolment_figure",
    "footnote",
    "forest_figure",
    "gates_figure",
    "importance_figure",
    "kinship_order",
    "pair_points",
    "pair_results",
    "pairs_figure",
    "png",
    "reliability_figure",
    "run_figure",
    "save",
    "shares_figure",
    "svg",
    "target_shares",
    "ternary_figure",
    "two_readings",
]
