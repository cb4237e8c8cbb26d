"""From scores to decisions, numbers and pages: what is present, how salient, how sure.

Uses `blended.data` only; no torch. Read `measures/`, `decisions/`, `protocol.py`, `intervals.py`.
"""

from blended.eval.measures.blends import challenge_score, presence_accuracy, salience_accuracy

__all__ = ["challenge_score", "presence_accuracy", "salience_accuracy"]
