"""The organisers' own formats: decided emotions, and the submission, checked by rule before it is written."""

import difflib
import json
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import cast

from blended.data import InputError, LabelSpace, Mixture
from blended.data.atomic import replacing
from blended.data.errors import some, unknown_name


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


INNER_NAME = "submission_template.json"
"""What the file inside is called in the organisers' template."""

Entry = dict[str, str | int]
ENTRY_KEYS = {"emotion", "salience"}

# A fixed time, so that the same decisions give the same bytes.
MADE = (2025, 1, 1, 0, 0, 0)
NUM_NAMED = 3


def submission(decided: Mapping[str, Mixture]) -> dict[str, dict[str, list[Entry]]]:
    """The organisers' mapping from file names (`test_0001.mov`) to emotions, the larger share first.

    >>> submission({"test_0001.mov": Mixture({"ang": 30, "hap": 70})})["predictions"]
    {'test_0001.mov': [{'emotion': 'hap', 'salience': 70}, {'emotion': 'ang', 'salience': 30}]}
    """
    return {"predictions": {name: _entries(mixture) for name, mixture in decided.items()}}


def _entries(mixture: Mixture) -> list[Entry]:
    ranked = sorted(mixture.rounded().items(), key=lambda item: (-item[1], item[0]))
    return [{"emotion": emotion, "salience": share} for emotion, share in ranked]


def validate_submission(
    mapping: Mapping[str, object], expected_names: Collection[str], space: LabelSpace
) -> dict[str, Mixture]:
    """What a submission decides, by file name; raises InputError for anything that breaks a rule.

    The rules: `predictions` is the only key; every expected file name is there and no other; one or two
    different emotions of the label space; an emotion that occurs in no blend of the space (neutral) stands
    alone; shares are a state of the space (100, or 50/50 and 70/30).
    """
    predictions = _only(mapping)
    _check_names(predictions, expected_names)
    return {name: _answered(name, entries, space) for name, entries in predictions.items()}


def _only(mapping: Mapping[str, object]) -> Mapping[str, object]:
    if [*mapping] != ["predictions"] or not isinstance(mapping["predictions"], Mapping):
        raise InputError(
            f"a submission is one object {{'predictions': {{file name: emotions}}}}, got the keys "
            f"{[*mapping]}: wrap the decisions so"
        )
    return cast(Mapping[str, object], mapping["predictions"])


def _check_names(predictions: Mapping[str, object], expected_names: Collection[str]) -> None:
    expected = frozenset(expected_names)
    count = f"{len(predictions)} predictions, expected exactly the {len(expected)} test clips"
    if extra := [name for name in predictions if name not in expected]:
        near = difflib.get_close_matches(extra[0], sorted(expected), n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        named = some(map(repr, extra), NUM_NAMED)
        raise InputError(f"{count}: {named} {_is(extra)} not among them{hint}; correct or remove")
    if missing := sorted(expected - predictions.keys()):
        named = some(map(repr, missing), NUM_NAMED)
        raise InputError(f"{count}: {named} {_is(missing)} missing; every test clip needs an answer")


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _answered(name: str, entries: object, space: LabelSpace) -> Mixture:
    """One clip's answer."""
    shares = _shares(name, entries)
    for emotion in shares:
        if emotion not in space.emotions:
            raise InputError(f"{name!r}: {unknown_name('emotion', emotion, space.emotions)}")
    blendable = {emotion for state in space.states if state.is_blend for emotion in state.emotions}
    if len(shares) == 2 and (alone := [emotion for emotion in shares if emotion not in blendable]):
        raise InputError(
            f"{name!r} has {alone[0]!r} in a blend with {next(e for e in shares if e != alone[0])!r}, but "
            f"{alone[0]!r} only ever stands alone: keep one of the two at 100"
        )
    try:
        mixture = Mixture(shares)
    except InputError as error:
        raise InputError(f"{name!r}: {error}") from error
    if mixture not in space.states:
        raise InputError(f"{name!r} is answered with {mixture.name}, expected shares of {_grid(space)}")
    return mixture


def _shares(name: str, entries: object) -> dict[str, float]:
    """Share by emotion; checks the form only."""
    if not isinstance(entries, list) or not 1 <= len(listed := cast(list[object], entries)) <= 2:
        count = f"{len(cast(list[object], entries))} emotions" if isinstance(entries, list) else repr(entries)
        raise InputError(f"{name!r} has {count}, expected a list of one or two emotions with their salience")
    shares: dict[str, float] = {}
    for entry in listed:
        fields = cast(Mapping[str, object], entry) if isinstance(entry, Mapping) else {}
        emotion, salience = fields.get("emotion"), fields.get("salience")
        number = isinstance(salience, int | float) and not isinstance(salience, bool)
        if {*fields} != ENTRY_KEYS or not isinstance(emotion, str) or not number:
            raise InputError(
                f"{name!r} has the entry {entry!r}, expected {{'emotion': a name, 'salience': a number of "
                f"percent}}"
            )
        if emotion in shares:
            raise InputError(f"{name!r} names {emotion!r} twice, expected two different emotions, or one")
        shares[emotion] = float(cast(float, salience))
    return shares


def _grid(space: LabelSpace) -> str:
    """The shares that the states of a space have: `100, 50/50 or 70/30`.

    >>> _grid(LabelSpace(("a", "b"), states=(Mixture.single("a"), Mixture({"a": 30, "b": 70}))))
    '100 or 70/30'
    """
    kinds = {tuple(sorted((share for _, share in state.shares), reverse=True)) for state in space.states}
    words = ["/".join(f"{share:g}" for share in kind) for kind in sorted(kinds, key=lambda k: (len(k), k))]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def write_submission(path: Path, mapping: Mapping[str, object]) -> None:
    """Writes the zip as a whole or not at all; raises InputError unless it is named `.zip`."""
    if path.suffix != ".zip":
        raise InputError(f"a submission is a zip file, got the name {path.name!r}: call it submission.zip")
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        inner = zipfile.ZipInfo(INNER_NAME, MADE)
        inner.compress_type = zipfile.ZIP_DEFLATED
        inner.external_attr = 0o644 << 16
        archive.writestr(inner, json.dumps(mapping, indent=4))


def read_submission(path: Path) -> dict[str, object]:
    """The JSON of a submission's zip; raises InputError for a file that is no such zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            texts = [archive.read(name) for name in archive.namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path} cannot be read as a zip ({error}): write the submission again") from error
    if len(texts) != 1:
        raise InputError(f"{path} holds {len(texts)} files, expected one JSON: write the submission again")
    try:
        return json.loads(texts[0])
    except ValueError as error:
        raise InputError(f"{path} holds no JSON ({error}): write the submission again") from error
