"""From scores to decisions, numbers and pages: what is present, how salient, how sure.

Uses `blended.data` only; no torch. Read `measures/`, `decisions/`, `protocol.py`, `intervals.py`; `evaluate`
scores a table. What is named here is imported when it is first asked for, so that a command line that only
names this package waits for nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blended.eval.measures.blends import challenge_score, presence_accuracy, salience_accuracy
    from blended.eval.scoring import Result, evaluate

WHERE = {
    "Result": "scoring",
    "challenge_score": "measures.blends",
    "evaluate": "scoring",
    "presence_accuracy": "measures.blends",
    "salience_accuracy": "measures.blends",
}

__all__ = ["Result", "challenge_score", "evaluate", "presence_accuracy", "salience_accuracy"]


def __getattr__(name: str) -> Any:
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{WHERE[name]}"), name)
