"""Decisions: evidence in, one mixture per clip out. A table, `DECISIONS`, names them all.

Every entry is fitted on evidence and truth of clips that are not reported and returns a `Decider`.
"""

from blended.eval.decisions.bayes import fit_bayes
from blended.eval.decisions.constant import fit_most_frequent_blend, fit_most_frequent_single
from blended.eval.decisions.decider import Decider, Fit
from blended.eval.decisions.set_ratio import fit_set_ratio
from blended.eval.decisions.templates import fit_templates
from blended.eval.decisions.thresholds import fit_thresholds

DECISIONS: dict[str, Fit] = {
    "thresholds": fit_thresholds,
    "templates": fit_templates,
    "bayes": fit_bayes,
    "set-ratio": fit_set_ratio,
    "most-frequent-single": fit_most_frequent_single,
    "most-frequent-blend": fit_most_frequent_blend,
}

TRIVIAL = ("most-frequent-single", "most-frequent-blend")
"""Entries that look at nothing: what every other number is compared with."""

__all__ = ["DECISIONS", "TRIVIAL", "Decider", "Fit"]
