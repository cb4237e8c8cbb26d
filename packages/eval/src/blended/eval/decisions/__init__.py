"""Decisions: evidence in, one mixture per clip out. A table, `DECISIONS`, names them all.

Every entry is fitted on evidence and truth of clips that are not reported and returns a `Decider`.
"""

from blended.data import LabelSpace
from blended.eval.decisions.bayes import fit_bayes
from blended.eval.decisions.decider import Decider, Fit, FitOptions
from blended.eval.decisions.plain import (
    fit_argmax,
    fit_model_states,
    fit_most_frequent_blend,
    fit_most_frequent_single,
    fit_templates,
)
from blended.eval.decisions.set_ratio import fit_set_ratio
from blended.eval.decisions.thresholds import fit_thresholds

DECISIONS: dict[str, Fit] = {
    "thresholds": fit_thresholds,
    "templates": fit_templates,
    "bayes": fit_bayes,
    "set-ratio": fit_set_ratio,
    "expected-score": fit_model_states,
    "argmax": fit_argmax,
    "most-frequent-single": fit_most_frequent_single,
    "most-frequent-blend": fit_most_frequent_blend,
}

WEIGHTED = frozenset({"bayes", "set-ratio", "expected-score"})
"""Entries that decode an expected score, so that its weight of presence can be chosen."""
OF_STATES = frozenset({"expected-score"})
"""Entries that decode a model's own probabilities of label states and look at nothing else."""
UNSCORED = frozenset({"templates", "argmax", "expected-score", "most-frequent-single", "most-frequent-blend"})
"""Entries that fit nothing to scores: other folds' scores make no difference to them."""

__all__ = [
    "DECISIONS",
    "OF_STATES",
    "UNSCORED",
    "WEIGHTED",
    "Decider",
    "Fit",
    "FitOptions",
    "trivial_decisions",
]


def trivial_decisions(space: LabelSpace) -> tuple[str, ...]:
    """Entries that look at nothing: what every other number is compared with."""
    has_blends = any(state.is_blend for state in space.states)
    return ("most-frequent-single", "most-frequent-blend") if has_blends else ("most-frequent-single",)
