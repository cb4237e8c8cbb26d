"""What a fusion strategy is: what it reads of clips, how it is trained, how its final model is applied."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel
from torch import Tensor

from blended.data import Corpus, LabelSpace
from blended.data.index import Index
from blended.data.store import FeatureStore
from blended.encoders.one_file import Built, Decoded, Wanted
from blended.fusion.attending import Attended, attended
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.nested import FINAL, Nested, Predicted
from blended.fusion.run import Log, Surroundings
from blended.fusion.sequences import Sequences
from blended.fusion.sources import Change
from blended.fusion.training import Trained

Standardise = Literal["training", "actor"]
"""What features are standardised over: the training part, or before that each actor's own clips, which is
label-free but transductive."""
State = Mapping[str, Tensor]
"""A final model, as a safetensors file holds it."""
Features = Mapping[str, Tensor | Sequences]
"""What a strategy reads of some clips, by encoder or track: a row per clip, or the steps of every clip."""
Memory = dict[tuple[object, ...], Any]
"""Features that were read, by what they are of; grows by every encoder, [clip, dim] as float32. Pooled ones
are in the machine's memory, whatever the device."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathering:
    """Where the inputs of a training are gathered from."""

    index: Index
    corpus: Corpus
    """The clips of the index that are trained and tested on."""
    stores: Mapping[str, FeatureStore]
    """By encoder."""
    modality_of: Mapping[str, str]
    """What the strategy reads -> `audio`, `video` or `audio-visual`."""
    device: str
    cache: Path
    """Folder for what is prepared once."""
    log: Log
    memory: Memory | None = None
    """What is in it is not read again."""


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """How a new file becomes what a strategy reads."""

    wanted: Mapping[str, Wanted]
    """What of a file is decoded."""
    read: Callable[[Decoded], Features]
    """Of one clip."""


@dataclass(frozen=True, slots=True)
class InputKind:
    """A kind of inputs that strategies read."""

    name: Literal["vectors", "sequences", "media"]
    """One pooled vector per clip and encoder, the steps over time, or the clips themselves."""
    gather: Callable[[Any, Gathering], Inputs]
    """(config, where from) -> what is trained and tested on: the training clips, then the test clips.
    Effects: may prepare clips in the cache."""
    reader: Callable[[Any, Built, str], Reader]
    """(config, encoders of the strategy, their device) -> how new files are read."""
    tracks: Mapping[str, str] = field(default_factory=dict)
    """What is read in place of features of encoders -> its modality."""


@dataclass(frozen=True, slots=True, eq=False)
class NewClips:
    """Clips to be judged, on one device. An encoder that could not be used is left out."""

    space: LabelSpace
    actors: Sequence[str]
    """Who is seen, per clip; a strategy that standardises per actor does so over these clips."""
    modality_of: Mapping[str, str]
    """Of everything that the strategy reads, there or not."""
    features: Features = field(default_factory=dict)

    @property
    def vectors(self) -> dict[str, Tensor]:
        """The features of a row per clip."""
        return {name: given for name, given in self.features.items() if isinstance(given, Tensor)}

    @property
    def sequences(self) -> dict[str, Sequences]:
        """The features over time."""
        return {name: given for name, given in self.features.items() if isinstance(given, Sequences)}


def num_clips(features: Features) -> int:
    """How many clips there are features of."""
    first = next(iter(features.values()))
    return len(first) if isinstance(first, Tensor) else len(first.lengths_N)


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """What the final model says about new clips."""

    probabilities: Float[np.ndarray, "clip emotion"]
    """In the order of the label space; they add up to 1, or are intensities."""
    states: Float[np.ndarray, "clip state"] | None
    """Probabilities of the label states, where the head gives them."""
    weights: Mapping[str, float]
    """What every encoder that was used counted for, together 1; one entry `a+b` where they are one input."""
    missing: tuple[str, ...]
    """Encoders of the strategy without features here."""
    out_of_distribution: Mapping[str, Float[np.ndarray, "clip"]]
    """Encoder -> how far a clip lies from the training clips, as the root mean square of its standardised
    features. About 1 for clips like those, 0 or more."""


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """Probabilities (intensities, if that is the task) and the final model."""

    out_of_fold: Float[np.ndarray, "train emotion"]
    """Every training clip, by a model that saw no actor of its fold."""
    inner: Float[np.ndarray, "train emotion"]
    """Every training clip, by a model that saw neither an actor of its fold nor one of the fold before: what
    choices for the fold before may be made on."""
    test: Float[np.ndarray, "test emotion"]
    """Every test clip, by the final model."""
    fitted: Mapping[str, float]
    """What was chosen on inner folds and is worth tracking: epochs, learning rates, late weights."""
    state: Mapping[str, Tensor]
    """The final model, by name, for a safetensors file."""
    judged: Callable[[Change], Predicted]
    """`out_of_fold`, and `states` where there are, with features taken away or shuffled among clips, without
    training anew: `emotions` and `states`."""
    states: Float[np.ndarray, "train state"] | None = None
    """Probabilities of the label states, where the head gives them."""
    test_states: Float[np.ndarray, "test state"] | None = None
    gates: Mapping[str, Float[np.ndarray, "train"]] = field(default_factory=dict)
    """What each encoder counted for in every clip, where the strategy says so; adds up to 1."""
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Encoder -> `fold0`, ..., `final` -> what it counts for in all clips, where the strategy says so."""
    attended: Callable[[Sequence[int]], tuple[Attended, ...]] | None = None
    """How streams attended to each other in the training clips, where they did; given the clips whose
    attention is wanted step by step."""
    fitting: Float[np.ndarray, "fold train emotion"] | None = None
    """Strictly nested: for every fold, in their order, what its decision is fitted on: the other folds' clips
    by models that saw no label of it; its own clips as in `out_of_fold`. None under plain nesting, where
    decisions are fitted on `out_of_fold`."""
    fitting_states: Float[np.ndarray, "fold train state"] | None = None
    """Probabilities of the label states for the same decisions, where the head gives them."""

    def changed(self, change: Change) -> Float[np.ndarray, "train emotion"]:
        """Probabilities of the emotions alone of `judged`."""
        return self.judged(change)["emotions"]


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to fuse."""

    config: type[BaseModel]
    reads: InputKind
    fit: Callable[[Any, Inputs, int, Surroundings], Fused]
    """(config, inputs, seed, run) -> Fused."""
    apply: Callable[[Any, State, NewClips], Applied]
    """(config, state, clips) -> Applied, for clips of which something is there to read."""
    pretrained_on: Callable[[Any], tuple[str, ...]] = lambda _: ()
    """config -> the corpora whose unlabelled clips training begins with."""
    places: frozenset[str] = frozenset()
    """Settings that say where a file lies, which is no part of a run's identity."""


def fused(nested: Nested, inputs: Inputs, gated: tuple[str, ...] = ()) -> Fused:
    """What one nested training gives; `gated` names the columns of its gates."""
    num_test = len(inputs.clips) - inputs.num_train
    empty = np.zeros((num_test, len(inputs.space.emotions)))
    gates = nested.out_of_fold.get("gates")
    return Fused(
        out_of_fold=nested.out_of_fold["emotions"],
        inner=nested.inner["emotions"],
        test=nested.test.get("emotions", empty),
        fitted=choices(nested),
        state=nested.final_state,
        judged=nested.changed,
        states=nested.out_of_fold.get("states"),
        test_states=nested.test.get("states"),
        gates={} if gates is None else {name: gates[:, place] for place, name in enumerate(gated)},
        attended=attention_of(nested),
        fitting=nested.fitting.get("emotions"),
        fitting_states=nested.fitting.get("states"),
    )


def attention_of(nested: Nested) -> Callable[[Sequence[int]], tuple[Attended, ...]] | None:
    """How streams attend to each other in every training clip, by models that did not train on its fold."""
    trained = nested.reported
    if not trained.network.fusion.attentions:
        return None
    return lambda examples: attended(trained, nested.clips_of_models, examples)


def choices(nested: Nested, prefix: str = "") -> dict[str, float]:
    """Epochs and learning rate per fold and of the final model, for tracking."""
    chosen: dict[str, float] = {}
    for fold, choice in nested.choices.items():
        where = "final" if fold == FINAL else f"fold{fold}"
        chosen[f"{prefix}epochs/{where}"] = float(choice.epochs)
        chosen[f"{prefix}learning_rate/{where}"] = choice.learning_rate
    return chosen


def trained_from(
    state: State, prefix: str, network: Any, source: Any, training: TrainingConfig, device: torch.device
) -> Trained:
    """The models whose parameters have names with that prefix."""
    at = f"{prefix}network."
    parameters = {name.removeprefix(at): value for name, value in state.items() if name.startswith(at)}
    return Trained(network, parameters, source, np.empty((0, 0)), training, device)


def said(trained: Trained, num_clips: int) -> dict[str, np.ndarray]:
    """What the models say about all clips of their source, on average."""
    outputs = trained.predict_all(np.arange(num_clips))
    return {key: values.mean(axis=0) for key, values in outputs.items()}
