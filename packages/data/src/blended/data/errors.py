"""The one exception for a user's mistake, and the sentence for a misspelt name."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something a user supplied is wrong: the message says what came, what was expected and what to do.

    The command line prints the message without a traceback and exits with status 1.
    """


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a table, with the nearest right one.

    >>> str(unknown_name("encoder", "logmell", ["logmel", "motion"]))
    "unknown encoder 'logmell': did you mean 'logmel'? Known: logmel, motion."
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" did you mean {near[0]!r}?" if near else ""
    return InputError(f"unknown {kind} {name!r}:{hint} Known: {', '.join(names)}.")
