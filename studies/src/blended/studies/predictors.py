"""Predictors with a name, such as action unit 12 or loudness, and the columns that tell of each.

Encoders that are functions of a clip name their columns; so do tables that others extracted. Networks do not.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from blended.data import InputError
from blended.data.foreign.importing import PROVENANCE_NAME
from blended.data.store import FeatureStore
from blended.encoders.encoder import EncoderConfig
from blended.encoders.names import parse_feature_reference
from blended.encoders.pooling import STATISTICS
from blended.encoders.table import encoder_config
from blended.fusion.strategies import FUSIONS
from blended.studies.corpus_params import with_name
from blended.studies.trial import TrialConfig

MAX_PREDICTORS = 48
"""Of one encoder: eGeMAPS has 42, OpenFace 31. A hundred cells of a grid or bands of a spectrum are places
with numbers, and nobody would read what each is worth."""

_SMOOTHED = re.compile(r"_sma3(nz)?(_.*)?$")
_ACTION_UNIT = re.compile(r"^(AU\d\d)_[rc]$")


@dataclass(frozen=True, slots=True)
class Predictor:
    """Something that a feature set measures, in all its statistics."""

    feature: str
    """As the recipe names it."""
    name: str
    columns: tuple[int, ...]
    """Of what is trained on, ascending: of every statistic of a vector, or of every step."""

    @property
    def title(self) -> str:
        """With the feature set that it is of."""
        return f"{self.feature}: {self.name}"


def predictor_name(column: str) -> str:
    """What a column is a statistic of: openSMILE's functionals go together, as do both of an action unit.

    >>> [predictor_name(name) for name in ("mfcc1V_sma3nz_stddevNorm", "AU12_r", "f0_semitones")]
    ['mfcc1V', 'AU12', 'f0_semitones']
    """
    return _ACTION_UNIT.sub(r"\1", _SMOOTHED.sub("", column))


def predictors_of(columns: Mapping[str, Sequence[str]], widths: Mapping[str, int]) -> list[Predictor]:
    """Of feature sets with named columns, those with the fewest predictors first; none of sets with too many.

    `widths` are the columns of what is trained on: vectors of a clip hold a statistic of all columns, then
    the next one.

    >>> predictors_of({"prosody": ("f0", "energy")}, {"prosody": 4})[1]
    Predictor(feature='prosody', name='energy', columns=(1, 3))
    """
    found: list[list[Predictor]] = []
    for feature, names in columns.items():
        own: dict[str, list[int]] = {}
        for column in range(widths[feature]):
            own.setdefault(predictor_name(names[column % len(names)]), []).append(column)
        if len(own) <= MAX_PREDICTORS:
            found.append([Predictor(feature, name, tuple(places)) for name, places in own.items()])
    return [one for group in sorted(found, key=len) for one in group]


def named_predictors(
    config: TrialConfig, stores: Mapping[str, FeatureStore], log: Callable[[str], None]
) -> list[Predictor]:
    """Of all feature sets of a trial whose columns have names."""
    columns: dict[str, tuple[str, ...]] = {}
    widths: dict[str, int] = {}
    reads = FUSIONS[config.fusion.name].reads.name
    for feature in config.fusion.features:
        name = parse_feature_reference(feature).name
        store = stores[name]
        names = (
            _names_of_import(store)
            if name in config.imported
            else _names_of_encoder(encoder_config(with_name(name, config.encoders[name])), log)
        )
        row = store.row(store.clips[0], store.layers[-1])
        if len(names) == row.dim:
            columns[feature] = names
            pooled = reads == "vectors" and row.rate_hz > 0
            widths[feature] = row.dim * (len(STATISTICS) if pooled else 1)
    return predictors_of(columns, widths)


def _names_of_encoder(config: EncoderConfig, log: Callable[[str], None]) -> tuple[str, ...]:
    if config.weighted:
        return ()
    try:
        built = config.build()
    except InputError as error:
        # Features come from where the library is: a run must not fail for want of names.
        log(f"{config.name}: the names of its columns are not known here ({error})")
        return ()
    return tuple(getattr(built, "columns", ()))


def _names_of_import(store: FeatureStore) -> tuple[str, ...]:
    path = store.folder / PROVENANCE_NAME
    return tuple(json.loads(path.read_bytes())["columns"]) if path.is_file() else ()
