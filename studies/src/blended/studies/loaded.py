"""What a notebook holds in its hands: a corpus, features, answers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Float32

from blended.data.digits import chance
from blended.data.errors import InputError
from blended.data.index import Index
from blended.data.labels import LabelSpace
from blended.data.shown import Shown, shown_table
from blended.data.store import FeatureStore
from blended.encoders.names import parse_feature_reference
from blended.encoders.pooling import pool_store, read_layers
from blended.studies.answers import Prediction, file_values, name_of
from blended.studies.folders import Folders

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSet:
    """Features of the clips of a corpus."""

    name: str
    clip_ids: tuple[str, ...]
    """In the order of the corpus, without clips that could not be encoded."""
    values: Float32[np.ndarray, "clip dim"] | None
    """Pooled; None for sequences."""
    sequences: tuple[np.ndarray, ...] | None
    """[time, dim] of every clip; None for pooled features."""
    rate_hz: float
    """Steps in a second; 0 for encoders that give one vector per clip."""
    failures: Mapping[str, str]
    """Clip without features -> why."""

    def to_frame(self) -> pl.DataFrame:
        """`clip`, `seconds` for sequences, and a column for every dimension."""
        if self.values is not None:
            return pl.DataFrame({"clip": self.clip_ids}).hstack(_columns(self.values))
        parts = [
            pl.DataFrame(
                {"clip": [clip] * len(steps), "seconds": np.arange(len(steps)) / self.rate_hz}
            ).hstack(_columns(steps))
            for clip, steps in zip(self.clip_ids, self.sequences or (), strict=True)
        ]
        return pl.concat(parts)

    def table(self) -> Shown:
        """How many clips, dimensions and steps there are."""
        rows = [("clips", str(len(self.clip_ids))), ("failed", str(len(self.failures)))]
        if self.values is not None:
            rows.append(("dimensions, pooled", str(self.values.shape[1])))
        else:
            lengths = [len(steps) for steps in self.sequences or ()]
            rows += [
                ("dimensions", str((self.sequences or [np.empty((0, 0))])[0].shape[1])),
                ("steps", f"{min(lengths)} to {max(lengths)}, {self.rate_hz:g} in a second"),
            ]
        return shown_table(self.name, ("", ""), rows)

    def figure(self) -> "Figure":
        """Every dimension of every clip (of sequences: its mean over time), standardised."""
        from blended.eval.figures.clips import map_figure

        values = self.values
        if values is None:
            values = np.stack([steps.mean(axis=0) for steps in self.sequences or ()]).astype(np.float32)
        return map_figure(values, self.name)


def _columns(values: np.ndarray) -> list[pl.Series]:
    return [
        pl.Series(f"d{place}", np.ascontiguousarray(values[:, place])) for place in range(values.shape[1])
    ]


def read_features(
    name: str, index: Index, folders: Folders, *, sequences: bool = False, pooling: str = "statistics"
) -> FeatureSet:
    """Stored features of a corpus, `name` as in a recipe; raises InputError where there are none."""
    wanted = parse_feature_reference(name)
    if pooling not in ("statistics", "mean"):
        raise InputError(f"pooling {pooling!r}: expected 'statistics' or 'mean'")
    store = FeatureStore(folders.features(index.corpus.name) / wanted.name)
    there = frozenset(store.clips)
    ids = tuple(clip.id for clip in index.corpus.clips if clip.id in there)
    if not ids:
        raise InputError(f"{store.folder} has features of none of the clips of {index.corpus.name}")
    rate_hz = store.row(ids[0]).rate_hz
    values, steps = None, None
    if sequences and rate_hz == 0:
        raise InputError(f"{name} gives one vector per clip, so there are no sequences: leave them out")
    if sequences:
        steps = tuple(read_layers(store, clip, wanted.layers).values for clip in ids)
    else:
        values = pool_store(store, ids, wanted.layers, pooling=pooling)
    return FeatureSet(name, ids, values, steps, rate_hz, store.failures)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedCorpus:
    """A corpus with what was measured on its files."""

    index: Index

    @property
    def name(self) -> str:
        """As in params.yaml."""
        return self.index.corpus.name

    @property
    def space(self) -> LabelSpace:
        """The labels, in the order of every column of scores."""
        return self.index.corpus.space

    def to_frame(self) -> pl.DataFrame:
        """A row for every clip: labels, actor, partition, fold, and what was measured on its file."""
        return self.index.table

    def table(self) -> Shown:
        """Clips by what is annotated and by partition."""
        corpus = self.index.corpus
        kinds: Counter[tuple[str, str]] = Counter()
        for clip in corpus.clips:
            label = "intensities" if corpus.space.task == "intensities" else "withheld"
            kinds[clip.mixture.name if clip.mixture else label, clip.split] += 1
        labels = dict.fromkeys(label for label, _ in kinds)
        rows = [(label, str(kinds[label, "train"]), str(kinds[label, "test"])) for label in labels]
        rows.append(("all", str(len(corpus.train)), str(len(corpus.test))))
        actors = len({clip.actor for clip in corpus.clips if clip.actor})
        notes = [f"{actors} actors, {len(corpus.folds)} folds"]
        notes += ["rendered clips: numbers say nothing about people"] if corpus.synthetic else []
        return shown_table(self.name, ("label", "train", "test"), rows, *notes)

    def figure(self) -> "Figure":
        """How many training clips there are of every label; for intensities, the mean of each."""
        from blended.eval.figures.clips import bars_figure

        corpus, title = self.index.corpus, f"{self.name}: training clips"
        if corpus.space.task == "intensities":
            values = np.mean([clip.soft.values for clip in corpus.train if clip.soft is not None], axis=0)
            means = dict(zip(corpus.space.emotions, values.tolist(), strict=True))
            return bars_figure(means, title, "mean intensity")
        return bars_figure(
            Counter(clip.mixture.name for clip in corpus.train if clip.mixture), title, "clips"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What a run says about some recordings."""

    space: LabelSpace
    predictions: tuple[Prediction, ...]

    def to_frame(self) -> pl.DataFrame:
        """A row for every file: `path`, `state`, and per emotion its share in percent (`share_`), its
        probability (`p_`) and its calibrated one (`calibrated_`); `notes` say what a reader must know."""
        return pl.DataFrame([file_values(one, self.space.emotions) for one in self.predictions]).drop(
            "problem"
        )

    def table(self) -> Shown:
        """What is decided, and calibrated probabilities; notes below."""
        rows = [
            (one.path.name, name_of(one.whole.decided), *(chance(p) for p in one.whole.calibrated))
            for one in self.predictions
        ]
        notes = dict.fromkeys(note for one in self.predictions for note in one.notes)
        return shown_table("", ("file", "decided", *self.space.emotions), rows, *notes)

    def figure(self) -> "Figure":
        """The answer to the first file: a frame, bars, and the course of a long recording."""
        from blended.studies.annotation import picture_of

        return picture_of(self.predictions[0], self.space.emotions)
