"""One trial: features in, decided and scored predictions out.

The DVC stage, a search and a cluster worker all call `run` with the same config; that config is what is
tracked.
"""

import hashlib
import json
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, JsonValue
from torch import Tensor

from blended.data import Corpus, InputError, Mixture, Scores
from blended.data.foreign import ImportedConfig, open_imported
from blended.data.index import Index, read_index
from blended.data.store import FeatureStore
from blended.encoders.extract import identity_of
from blended.encoders.pooling import pool_store
from blended.encoders.table import encoder_config
from blended.encoders.threads import one_thread
from blended.eval.agreement import RecallEstimates, recall_bootstrap
from blended.eval.calibration import CALIBRATIONS
from blended.eval.decisions import DECISIONS
from blended.eval.evidence import Evidence, gather
from blended.eval.predictions import Predictions
from blended.eval.protocol import Evaluation, Protocol, evaluate
from blended.fusion.inputs import Inputs
from blended.fusion.strategies import Fused, FusionConfig, fit
from blended.studies.folders import Folders
from blended.studies.params import DecisionConfig, Params, with_name

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
    seed: int

    @property
    def strategy(self) -> str:
        """In words: `linear` or `mlp-256` on one feature set, else `early linear`, `late mlp-256`, ..."""
        hidden = self.fusion.training.hidden
        head = f"mlp-{hidden}" if hidden else "linear"
        return head if len(self.fusion.features) == 1 else f"{self.fusion.name} {head}"

    @property
    def protocol(self) -> Protocol:
        """How this trial's scores are decided; its result is the headline."""
        per_actor = self.fusion.standardise == "actor"
        return Protocol(self.decision.name, self.decision.calibrate, "cross-fold", self.seed, per_actor)

    @property
    def official_protocol(self) -> Protocol:
        """Two thresholds tuned on the reported fold: optimistic, to compare with published numbers."""
        return replace(self.protocol, decision="thresholds", tune="in-fold")


def trial_config(params: Params, recipe_name: str) -> TrialConfig:
    """The trial of a recipe of params.yaml."""
    recipe = params.recipe(recipe_name)
    return TrialConfig(
        corpus=params.corpus,
        encoders={n: params.encoders[n] for n in recipe.fusion.features if n in params.encoders},
        imported={n: params.imported[n].settings for n in recipe.fusion.features if n in params.imported},
        fusion=recipe.fusion,
        decision=recipe.decision,
        seed=recipe.seed,
    )


@dataclass(frozen=True, slots=True, eq=False)
class TrialResult:
    """What a trial gives."""

    config: TrialConfig
    identity: str
    """SHA-256 over the config, the corpus and the features: equal identities give equal numbers."""
    corpus: Corpus
    corpus_hash: str
    modalities: tuple[str, ...]
    """What the encoders look at and listen to, sorted."""
    cross_fold: Evaluation
    in_fold: Evaluation
    """Two thresholds tuned on the reported fold: optimistic, to compare with published numbers."""
    recalls: RecallEstimates | None
    """Unweighted and weighted average recall, for single-label tasks."""
    train: Predictions
    test: Predictions | None
    """By the final model, refitted on all training clips; None without a test partition, or where the
    trial is transductive and nobody says who is seen in the test clips."""
    fused: Fused
    skipped: tuple[str, ...]
    """Clips without features of every encoder."""


def run(config: TrialConfig, *, log: Log, device: str, folders: Folders | None = None) -> TrialResult:
    """Trains, decides and measures. Effects: reads features; writes nothing.

    Raises InputError for features that are missing or were made otherwise than the config says.
    """
    where = folders or Folders()
    index = read_index(where.index(config.corpus))
    stores = open_stores(config, index, where)
    failed = {clip_id for store in stores.values() for clip_id in store.failures}
    corpus = usable(index.corpus, failed, config.protocol)
    inputs = _inputs(corpus, stores, device)
    # On a CPU one thread is as fast for matrices of this size, far faster on a busy machine, where
    # threads of one product wait for each other, and its sums do not depend on the number of cores.
    with one_thread() if device == "cpu" else nullcontext():
        fused = fit(config.fusion, inputs, config.seed, log)
    truth = [_labelled(clip.mixture, clip.id) for clip in corpus.train]
    evidence = _evidence(corpus, fused.out_of_fold, "train")
    protocol = config.protocol
    cross_fold = evaluate(evidence, truth, protocol)
    in_fold = evaluate(evidence, truth, config.official_protocol)
    log(f"{protocol.label}: score {cross_fold.estimates.score}")
    return TrialResult(
        config=config,
        identity=identity(config, index, stores),
        corpus=corpus,
        corpus_hash=index.corpus_hash,
        modalities=_modalities(config),
        cross_fold=cross_fold,
        in_fold=in_fold,
        recalls=recall_bootstrap(truth, cross_fold.decided, evidence.actors, evidence.folds, seed=config.seed)
        if corpus.space.task == "single"
        else None,
        train=_predictions(corpus, "train", fused.out_of_fold, cross_fold.decided),
        test=_decide_test(config, corpus, fused, evidence, truth),
        fused=fused,
        skipped=tuple(sorted(failed)),
    )


def open_stores(config: TrialConfig, index: Index, folders: Folders) -> dict[str, FeatureStore]:
    """The feature store of every encoder, refused if it was made otherwise."""
    stores: dict[str, FeatureStore] = {}
    for name, settings in config.encoders.items():
        expected = identity_of(encoder_config(with_name(name, settings)), index.corpus_hash)
        stores[name] = FeatureStore(folders.features(config.corpus) / name, expected)
    for name, settings in config.imported.items():
        given = ImportedConfig.model_validate(with_name(name, settings))
        stores[name] = open_imported(folders.features(config.corpus) / name, given, index.corpus_hash)
    return stores


def identity(config: TrialConfig, index: Index, stores: dict[str, FeatureStore]) -> str:
    """SHA-256 over everything that the trial's numbers depend on."""
    made = {name: store.identity.to_json() for name, store in stores.items()}
    parts = [config.model_dump(mode="json"), index.corpus_hash, index.corpus.label_hash(), made]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _modalities(config: TrialConfig) -> tuple[str, ...]:
    found = {encoder_config(with_name(name, given)).modality for name, given in config.encoders.items()}
    found |= {str(given["modality"]) for given in config.imported.values()}
    return tuple(sorted(found))


def usable(corpus: Corpus, failed: Collection[str], protocol: Protocol) -> Corpus:
    """The corpus without clips that an encoder could not read.

    Without its test partition too, if the trial is transductive and nobody says who is seen there.
    """
    kept = [clip for clip in corpus.clips if clip.id not in failed]
    if protocol.transductive and not all(clip.actor for clip in kept):
        kept = [clip for clip in kept if clip.split == "train"]
    return replace(corpus, clips=tuple(kept))


def _inputs(corpus: Corpus, stores: dict[str, FeatureStore], device: str) -> Inputs:
    train = corpus.train
    clips = (*train, *corpus.test)
    clip_ids = [clip.id for clip in clips]
    features: dict[str, Tensor] = {
        name: torch.from_numpy(pool_store(store, clip_ids)).to(device) for name, store in stores.items()
    }
    targets = [corpus.target(clip) for clip in train]
    return Inputs(
        features=features,
        targets=torch.tensor(targets, dtype=torch.float32, device=device),
        folds=np.array([clip.fold for clip in train]),
        actors=tuple(clip.actor for clip in clips),
    )


def _labelled(mixture: Mixture | None, clip_id: str) -> Mixture:
    if mixture is None:
        raise InputError(f"training clip {clip_id!r} has no label; label it or move it to the test partition")
    return mixture


def _evidence(corpus: Corpus, probabilities: np.ndarray, split: str) -> Evidence:
    clips = corpus.train if split == "train" else corpus.test
    scores = Scores(tuple(c.id for c in clips), corpus.space.emotions, probabilities, "probabilities")
    return gather([scores], [c.actor for c in clips], [c.fold or 0 for c in clips], corpus.space)


def _predictions(
    corpus: Corpus, split: str, probabilities: np.ndarray, decided: list[Mixture]
) -> Predictions:
    clips = corpus.train if split == "train" else corpus.test
    return Predictions(
        clip_ids=tuple(clip.id for clip in clips),
        actors=tuple(clip.actor for clip in clips),
        folds=tuple(clip.fold for clip in clips),
        probabilities=probabilities,
        decided=tuple(decided),
        truth=tuple(clip.mixture for clip in clips),
    )


def _decide_test(
    config: TrialConfig, corpus: Corpus, fused: Fused, evidence: Evidence, truth: list[Mixture]
) -> Predictions | None:
    """Decisions for the test partition, fitted on all out-of-fold predictions."""
    if not corpus.test:
        return None
    calibration = CALIBRATIONS[config.decision.calibrate]
    decider = DECISIONS[config.decision.name](calibration(evidence), truth, config.seed)
    decided = decider.decide(calibration(_evidence(corpus, fused.test, "test")))
    return _predictions(corpus, "test", fused.test, decided)
