"""The organisers' own file format for decided emotions."""

from collections.abc import Mapping, Sequence

from blended.data import InputError, Mixture


def read_predictions(mapping: Mapping[str, Sequence[Mapping[str, object]]]) -> dict[str, Mixture]:
    """Turns `{name: [{"emotion": ..., "salience": ...}, ...]}` into `{name: Mixture}`.

    Shares may be numbers or strings. The organisers' code writes a lone emotion with salience 1.0 or
    100; whatever is written, one emotion is the whole. Names lose a media suffix (`test_0001.mov`).
    Raises InputError naming the clip for no or more than two emotions, an emotion twice, or shares that
    do not add up to 100 (fractions such as 0.7 and 0.3 are never right in the official metric, so
    they are refused rather than rescaled).

    >>> read_predictions({"test_0001.mov": [{"emotion": "sad", "salience": 1.0}]})
    {'test_0001': Mixture(shares=(('sad', 100.0),))}
    """
    return {_stem(name): _mixture(name, entries) for name, entries in mapping.items()}


def _stem(name: str) -> str:
    for suffix in (".mov", ".mp4"):
        name = name.removesuffix(suffix)
    return name


def _mixture(name: str, entries: Sequence[Mapping[str, object]]) -> Mixture:
    for entry in entries:
        if missing := [key for key in ("emotion", "salience") if key not in entry]:
            raise InputError(f"prediction of {name!r} lacks {missing[0]!r}: {dict(entry)}")
    emotions = [str(entry["emotion"]) for entry in entries]
    if len(set(emotions)) != len(emotions):
        raise InputError(f"prediction of {name!r} names an emotion twice: {emotions}")
    try:
        if len(emotions) == 1:
            return Mixture.single(emotions[0])
        return Mixture({str(entry["emotion"]): float(str(entry["salience"])) for entry in entries})
    except ValueError as error:
        raise InputError(f"prediction of {name!r}: {error}") from error
