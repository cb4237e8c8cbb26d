"""The one exception for a user's mistake, the sentence for a misspelt name, and the words for many names."""

import difflib
from collections.abc import Iterable

NUM_NAMED = 5
"""A message that lists every missing clip of a corpus helps nobody."""


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


def some(names: Iterable[str], most: int = NUM_NAMED) -> str:
    """The first names and how many more there are.

    >>> some(["a", "b"]), some("abcdefg")
    ('a, b', 'a, b, c, d, e and 2 more')
    """
    given = list(names)
    more = f" and {len(given) - most} more" if len(given) > most else ""
    return ", ".join(given[:most]) + more
