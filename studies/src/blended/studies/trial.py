"""One trial: features in, decided and scored predictions out.

The DVC stage, a search and a cluster worker all call `run` with the same config; that config is what is
tracked.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from blended.data import Corpus
from blended.data.foreign import ImportedConfig, open_imported
from blended.data.index import Index, read_index
from blended.data.labels import Task
from blended.data.people import numbered
from blended.data.store import FeatureStore
from blended.encoders.device import one_thread
from blended.encoders.encoder import RANDOM
from blended.encoders.identity import identity_of
from blended.encoders.names import parse_feature_reference
from blended.encoders.table import encoder_config
from blended.encoders.weights import forbid_random
from blended.eval.estimate import Estimate
from blended.eval.evaluation import Evaluation, evaluate
from blended.eval.predictions import Predictions
from blended.eval.protocol import FittedDecision, Protocol, few_people
from blended.eval.tasks import TASKS
from blended.fusion.pairs import Nesting
from blended.fusion.run import Surroundings
from blended.fusion.strategies import FUSIONS, FusionConfig
from blended.fusion.strategy import Fused, Gathering, Memory
from blended.studies.corpus_params import with_name
from blended.studies.evaluating import answered, decide, final_decision, fitted_on, undecided
from blended.studies.extras import Extras
from blended.studies.folders import Folders
from blended.studies.gathering import complete, emotions_missing, lacking, usable
from blended.studies.identity import identity
from blended.studies.inner import InnerScore, Watch, inner_scores, watcher
from blended.studies.params import DecisionConfig, Missing, Params

Log = Callable[[str], None]


class TrialConfig(BaseModel):
    """What determines a trial's numbers, and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    corpus: str
    encoders: dict[str, dict[str, JsonValue]]
    """Settings of the encoders that the fusion uses, by name."""
    imported: dict[str, dict[str, JsonValue]] = {}
    """Settings of the features made by others that it uses, by name."""
    fusion: FusionConfig
    decision: DecisionConfig
    missing: Missing = "refuse"
    seed: int
    nesting: Nesting = "plain"
    """As in `Recipe`. What a record of before says nothing of was plain."""

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, given: Any) -> Any:
        """Reads the decision of a record that was written before 2026-11-28 in the words of now."""
        decision = given.get("decision") if isinstance(given, Mapping) else None
        if not isinstance(decision, Mapping) or decision.get("calibrate") not in ("none", "actor"):
            return given
        now = {name: value for name, value in decision.items() if name != "probabilities"}
        now |= {"normalise": decision["calibrate"], "calibrate": decision.get("probabilities", "raw")}
        return {**given, "decision": now}

    @property
    def strategy(self) -> str:
        """In words: `linear` or `mlp-256` on one feature set, else `early linear`, `late mlp-256`, ..."""
        hidden = self.fusion.training.hidden
        head = f"mlp-{hidden}" if hidden else "linear"
        return head if len(self.fusion.features) == 1 else f"{self.fusion.name} {head}"

    def resolved(self, task: Task) -> "TrialConfig":
        """With the decision that the corpus's labels ask for, where none is named.

        Intensities are never decided, so no models are trained for decisions to be fitted on. Otherwise they
        are, whatever decides: trials that differ only in that train once.
        """
        plain = {"nesting": "plain"} if task == "intensities" else {}
        return self.model_copy(update={"decision": self.decision.resolved(task), **plain})

    @property
    def protocol(self) -> Protocol:
        """How this trial's scores are decided; its result is the headline."""
        per_actor = self.fusion.standardise == "actor"
        plain = self.decision.protocol(self.seed, features_per_actor=per_actor)
        return replace(plain, pretrained=self.pretrained, nesting=self.nesting)

    @property
    def pretrained(self) -> bool:
        """Whether training begins with weights learned from unlabelled clips of this corpus."""
        return self.corpus in FUSIONS[self.fusion.name].pretrained_on(self.fusion)

    @property
    def official_protocol(self) -> Protocol:
        """Two thresholds tuned on the reported fold: optimistic, to compare with published numbers."""
        given = self.decision
        plain = DecisionConfig(
            name="thresholds",
            normalise=given.normalise,
            enrol_clips=given.enrol_clips,
            enrol_minimum=given.enrol_minimum,
        )
        per_actor = self.protocol.features_per_actor
        official = plain.protocol(self.seed, features_per_actor=per_actor)
        return replace(official, tune="in-fold", pretrained=self.pretrained, nesting="plain")


def trial_config(params: Params, recipe_name: str) -> TrialConfig:
    """The trial of a recipe of params.yaml."""
    recipe = params.recipe(recipe_name)
    used = {parse_feature_reference(feature).name for feature in recipe.fusion.features}
    return TrialConfig(
        corpus=params.corpus,
        encoders={name: params.encoders[name] for name in params.encoders if name in used},
        imported={name: params.imported[name].settings for name in params.imported if name in used},
        fusion=recipe.fusion,
        decision=recipe.decision,
        missing=recipe.missing,
        seed=recipe.seed,
        nesting=recipe.nesting,
    )


@dataclass(frozen=True, slots=True, eq=False)
class TrialResult:
    """What a trial gives."""

    config: TrialConfig
    identity: str
    """SHA-256 over the config, the corpus, the features and the code: equal identities give equal numbers."""
    corpus: Corpus
    corpus_hash: str
    modalities: tuple[str, ...]
    """What the encoders look at and listen to, sorted."""
    cross_fold: Evaluation
    in_fold: Evaluation | None
    """Two thresholds tuned on the reported fold: optimistic, to compare with published numbers; None for
    tasks without blends."""
    train: Predictions
    test: Predictions | None
    """By the final model, refitted on all training clips; None without a test partition, or where the
    trial is transductive and nobody says who is seen in the test clips."""
    fused: Fused
    decision: FittedDecision | None
    """Fitted on all out-of-fold predictions: what decided the test clips and will decide new ones. None for
    intensities, which are taken as they are."""
    inner: Mapping[int, InnerScore]
    """Reported fold -> score on its inner fold, which choices for that fold may be made by; empty for a trial
    that nobody watched, since decisions are fitted for it anew."""
    skipped: tuple[str, ...]
    """Clips that were left out for want of features."""
    extras: Extras = field(default_factory=Extras)
    """Tables that not every run has; the training command adds what is too slow for a search."""

    @property
    def headline(self) -> Estimate:
        """What runs of this task are ranked by, such as the challenge score."""
        return self.cross_fold.headline


def run(
    config: TrialConfig,
    *,
    log: Log,
    device: str,
    folders: Folders | None = None,
    watch: Watch | None = None,
    checkpoints: Path | None = None,
    memory: Memory | None = None,
    known: Fused | None = None,
) -> TrialResult:
    """Trains, decides and measures. Effects: reads features; writes checkpoints, if given a folder for them.

    `watch` is told the score on inner folds after every epoch and may raise to stop the trial. A trial that
    was interrupted goes on from `checkpoints` and ends with the same numbers. Trials that are given one
    `memory` read each encoder's features once. `known` is what an earlier training of the same
    `training_identity` gave: then nothing is trained, and nobody watches. Raises InputError for features that
    are missing or were made otherwise than the config says.
    """
    where = folders or Folders()
    index = read_index(where.index(config.corpus))
    config = config.resolved(index.corpus.space.task)
    stores = open_stores(config, index, where)
    lacks = lacking(stores, index.corpus)
    whole = complete(index.corpus, lacks, len(stores), config.missing)
    corpus = usable(whole, config.protocol)
    people = few_people(config.protocol, numbered([clip.actor for clip in corpus.clips]))
    for sentence in (*emotions_missing(corpus), *filter(None, [people])):
        log(sentence)
    fused = known
    if fused is None:
        on_epoch = None if watch is None else watcher(corpus, watch)
        surroundings = Surroundings(log, on_epoch, checkpoints)
        fused = trained(config, index, corpus, stores, surroundings, device, where.cache, memory)
    space, protocol, official = corpus.space, config.protocol, config.official_protocol
    scores = undecided(corpus.train, fused.out_of_fold, fused.states)
    evidence, truth = scores.evidence(space), TASKS[space.task].truth(corpus.train, space)
    cross_fold = evaluate(evidence, truth, protocol, fitted_on=fitted_on(corpus, fused))
    decision = final_decision(evidence, truth, protocol)
    test = undecided(corpus.test, fused.test, fused.test_states) if corpus.test else None
    result = TrialResult(
        config=config,
        identity=identity(config, index, stores),
        corpus=corpus,
        corpus_hash=index.corpus_hash,
        modalities=tuple(sorted(set(modality_of(config).values()))),
        cross_fold=cross_fold,
        in_fold=evaluate(evidence, truth, official) if space.task == "mixture" else None,
        train=answered(scores, cross_fold.decided, corpus.train, space),
        test=test and answered(test, decide(decision, test, space, protocol), corpus.test, space),
        fused=fused,
        decision=decision,
        inner={} if watch is None else inner_scores(corpus, fused.inner, protocol),
        skipped=tuple(sorted({clip.id for clip in index.corpus.clips} - {clip.id for clip in whole.clips})),
    )
    words = TASKS[space.task].headline.words
    log(f"{result.cross_fold.protocol.label}: {words} {result.headline}")
    return result


def trained(
    config: TrialConfig,
    index: Index,
    corpus: Corpus,
    stores: Mapping[str, FeatureStore],
    surroundings: Surroundings,
    device: str,
    cache: Path,
    memory: Memory | None = None,
) -> Fused:
    """The scores of all clips of a corpus that is `usable`, before anything decides."""
    strategy = FUSIONS[config.fusion.name]
    where = Gathering(index, corpus, stores, modality_of(config), device, cache, surroundings.log, memory)
    inputs = replace(strategy.reads.gather(config.fusion, where), nesting=config.nesting)
    # On a CPU one thread is as fast for matrices of this size, far faster on a busy machine, where
    # threads of one product wait for each other, and its sums do not depend on the number of cores.
    with one_thread() if device == "cpu" else nullcontext():
        return strategy.fit(config.fusion, inputs, config.seed, surroundings)


def open_stores(config: TrialConfig, index: Index, folders: Folders) -> dict[str, FeatureStore]:
    """The feature store of every encoder, refused if it was made otherwise.

    Which weights it was made with is the store's to say: it is part of the trial's identity.
    """
    stores: dict[str, FeatureStore] = {}
    for name, settings in config.encoders.items():
        encoder = encoder_config(with_name(name, settings))
        folder = folders.features(config.corpus) / encoder.name
        made = FeatureStore(folder).identity
        expected = identity_of(encoder, index.corpus_hash, RANDOM if encoder.weighted else None)
        stores[name] = FeatureStore(folder, replace(expected, weights=made.weights))
    for name, settings in config.imported.items():
        given = ImportedConfig.model_validate(with_name(name, settings))
        stores[name] = open_imported(folders.features(config.corpus) / name, given, index.corpus_hash)
    return stores


def check_trained(stores: Mapping[str, FeatureStore], params: Params) -> None:
    """Raises InputError for features of untrained networks that params.yaml does not allow."""
    allowed = [name for name, weights in params.weights.items() if Path(weights) == RANDOM]
    forbid_random({name: store.identity.weights for name, store in stores.items()}, allowed)


def modality_of(config: TrialConfig) -> dict[str, str]:
    """Features, or tracks, as the fusion names them -> `audio`, `video` or `audio-visual`."""
    if tracks := FUSIONS[config.fusion.name].reads.tracks:
        return {**tracks}
    made = {n: encoder_config(with_name(n, given)).modality for n, given in config.encoders.items()}
    made |= {name: str(given["modality"]) for name, given in config.imported.items()}
    return {feature: made[parse_feature_reference(feature).name] for feature in config.fusion.features}
