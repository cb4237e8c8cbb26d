"""What a report is made from: plain values, read by whoever calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from numpy import ndarray

from blended.data import Corpus, InputError, LabelSpace
from blended.eval.enrolment_curve import EnrolmentPoint
from blended.eval.estimate import Estimate
from blended.eval.run_record import Importance, RunRecord, Weights

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """The corpus in numbers."""

    name: str
    label_hash: str
    """`Corpus.label_hash()`, hexadecimal."""
    synthetic: bool
    """Rendered: the page says so before anything else."""
    num_clips: int
    """Labelled clips of the training partition; so for actors and folds."""
    num_blends: int
    num_actors: int
    num_folds: int
    num_test_clips: int = 0
    """Clips of the held-out partition."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a page comes from and how to make it again."""

    git_commit: str
    command: str
    """Shell line(s) that make the page again."""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Distribution -> version."""
    made_on: str = ""
    """A date in words; empty for a page that is the same on every day."""


@dataclass(frozen=True, slots=True)
class UnreadableClip:
    """A clip that no encoder could read."""

    clip_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ExampleFrame:
    """A picture from a rendered clip."""

    png: bytes
    caption: str


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything on the page."""

    title: str
    corpus: CorpusFacts
    space: LabelSpace
    records: tuple[RunRecord, ...]
    """Trained runs and trivial baselines in any order; all evaluated on the same clips."""
    provenance: Provenance
    training_protocol: str
    """In a sentence, how training was stopped, such as `The epoch was chosen on an inner fold.`"""
    ceilings: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    """What an oracle sees -> `presence_accuracy`, `salience_accuracy` and `score` on the training
    partition; of a rendered corpus, `ceiling.json`'s `train.oracle`."""
    notes: tuple[str, ...] = ()
    """Sentences on how far the runs can be compared: made by other code, or with other libraries."""
    unreadable: tuple[UnreadableClip, ...] = ()
    findings: tuple[str, ...] = ()
    """Sentences about the data: what was odd and what was done about it."""
    frames: tuple[ExampleFrame, ...] = ()
    """Of rendered corpora only."""
    probabilities: Mapping[str, Float[ndarray, "clip emotion"]] = field(default_factory=dict[str, ndarray])
    """Name of a run -> what its models gave, before any decision; clips in the order of its record, emotions
    in that of the space. For a run without, the page has no figures of probabilities and no single clips."""
    clip_pictures: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """Clip id -> PNG, for the tables of the worst and the best clips; of rendered corpora, or with
    `show_people`."""
    show_people: bool = False
    """Pictures of real people were asked for."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """Name of a grouping, such as `level` -> a group per clip, in the order of the records."""
    enrolment: Mapping[str, Sequence[EnrolmentPoint]] = field(
        default_factory=dict[str, Sequence[EnrolmentPoint]]
    )
    """Name of a run -> its score by clips of a person, for runs whose scores are normalised per actor."""
    importance: Mapping[str, Importance] = field(default_factory=dict[str, Importance])
    """Name of a run -> what permuting its encoders costs, by pair."""
    predictors: Mapping[str, Importance] = field(default_factory=dict[str, Importance])
    """Name of a run -> what permuting its named predictors costs, the largest loss first."""
    weights: Mapping[str, Weights] = field(default_factory=dict[str, Weights])
    """Name of a run -> what its fusion counts encoders for, and what its streams attend to."""
    without: Mapping[str, Mapping[str, Sequence[Estimate | float]]] = field(
        default_factory=dict[str, Mapping[str, Sequence[Estimate | float]]]
    )
    """Name of a run -> modality left out -> presence accuracy, salience accuracy and score."""
    emotion_names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Column of the label space -> word, such as `ang` -> `anger`."""

    def __post_init__(self) -> None:
        """Raises InputError for frames of real people or for frames that are no PNG."""
        if (self.frames or self.clip_pictures) and not (self.corpus.synthetic or self.show_people):
            raise InputError(
                f"example frames were given for {self.corpus.name!r}, which shows real people; a report is "
                f"passed on, so it has pictures of rendered corpora only: leave them out, or ask for them "
                f"with --show-people"
            )
        pictures = [(frame.caption, frame.png) for frame in self.frames]
        for name, content in (*pictures, *self.clip_pictures.items()):
            if not content.startswith(PNG_SIGNATURE):
                raise InputError(f"the example frame {name!r} is not a PNG")


def corpus_facts(corpus: Corpus) -> CorpusFacts:
    """Counts clips, actors and folds."""
    return CorpusFacts(
        name=corpus.name,
        label_hash=corpus.label_hash(),
        synthetic=corpus.synthetic,
        num_clips=len(corpus.train),
        num_blends=sum(clip.mixture is not None and clip.mixture.is_blend for clip in corpus.train),
        num_actors=len({clip.actor for clip in corpus.train}),
        num_folds=len(corpus.folds),
        num_test_clips=len(corpus.test),
    )
