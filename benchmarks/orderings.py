"""What the demo corpus must tell apart, over three seeds: one table of differences with intervals.

    python benchmarks/orderings.py [FOLDER]      FOLDER: a project in which `make repro` has run

Rendered clips: synthetic, says nothing about people. All features are standardised per actor (transductive),
decisions are `set-ratio`, cross-fold. Intervals: 95 %, actors resampled within folds, seeds averaged.
"""

import sys
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from blended.data import Corpus
from blended.data.index import read_index
from blended.data.store import FeatureStore
from blended.encoders.threads import one_thread
from blended.eval.intervals import difference, resample
from blended.eval.metrics import correctness
from blended.eval.protocol import Protocol, evaluate
from blended.eval.tasks import mixtures
from blended.fusion.config import TrainingConfig
from blended.fusion.objective import LossConfig
from blended.fusion.run import Run
from blended.fusion.sources import Change
from blended.fusion.strategies import FUSIONS, CrossAttentionConfig, EarlyConfig, Fused, FusionConfig, fit
from blended.studies.evaluating import PartScores
from blended.studies.folders import Folders
from blended.studies.gathering import Memory, gather

SEEDS = (0, 1, 2)
AUDIO, VIDEO = ("logmel", "prosody"), ("motion", "face")
MODALITY = {**dict.fromkeys(AUDIO, "audio"), **dict.fromkeys(VIDEO, "video")}
PROTOCOL = Protocol("set-ratio", features_per_actor=True)
TIMED = ("ang", "disg")
"""Told apart by what comes first, face or voice, and by nothing else."""
NUM_RESAMPLES = 10_000


def early(features: tuple[str, ...], training: TrainingConfig | None = None) -> EarlyConfig:
    """Pooled features side by side into a linear head."""
    return EarlyConfig(features=features, standardise="actor", training=training or TrainingConfig())


BOTH = (*AUDIO, *VIDEO)
SYSTEMS: dict[str, FusionConfig] = {
    "early, audio": early(AUDIO),
    "early, video": early(VIDEO),
    "early, both": early(BOTH),
    "early, both, balanced": early(BOTH, TrainingConfig(loss=LossConfig(balance=0.5))),
    "early, both, modality dropout": early(BOTH, TrainingConfig(modality_dropout=0.5)),
    "cross-attention": CrossAttentionConfig(features=BOTH, standardise="actor"),
}
ORDERINGS = (
    ("early, both", "early, audio"),
    ("early, both", "early, video"),
    ("cross-attention", "early, both"),
    ("early, both, balanced", "early, both"),
    ("early, both, modality dropout", "early, both"),
    ("early, both, modality dropout, no audio", "early, both, no audio"),
    ("early, both, modality dropout, no video", "early, both, no video"),
)


def main(root: Path) -> None:
    """Trains every system with every seed and prints the table."""
    folders = Folders(root)
    index = read_index(folders.index("demo"))
    corpus, memory = index.corpus, Memory()
    stores = {name: FeatureStore(folders.features("demo") / name) for name in MODALITY}
    predicted: dict[str, list[np.ndarray]] = {}
    for name, config in SYSTEMS.items():
        started = time.perf_counter()
        for seed in SEEDS:
            wanted = {feature: MODALITY[feature] for feature in config.features}
            inputs = gather(corpus, stores, wanted, FUSIONS[config.name].reads, "cpu", memory)
            with one_thread():
                fused = fit(config, inputs, seed, Run(lambda _: None))
                for label, given in _changes(name, fused).items():
                    predicted.setdefault(label, []).append(given)
        print(f"{name}: {(time.perf_counter() - started) / len(SEEDS):.0f} s per seed", flush=True)
    _report(corpus, predicted)


def _changes(name: str, fused: Fused) -> dict[str, np.ndarray]:
    """The predictions, and for systems that are judged so, those without a modality."""
    found = {name: fused.out_of_fold}
    if name in ("early, both", "early, both, modality dropout"):
        for gone in ("audio", "video"):
            found[f"{name}, no {gone}"] = fused.changed(Change(without=frozenset({gone})))
    return found


def _report(corpus: Corpus, predicted: dict[str, list[np.ndarray]]) -> None:
    samples = {
        name: np.mean([_resampled(corpus, one) for one in given], axis=0) for name, given in predicted.items()
    }
    print(f"\n| system | presence | salience | score | AUC {' / '.join(TIMED)} |\n|---|---|---|---|---|")
    for name, given in predicted.items():
        cells = [_cell(column) for column in samples[name].T]
        aucs = [_timing(corpus, one) for one in given]
        print(f"| {name} | {' | '.join(cells)} | {np.mean(aucs):.3f} ({min(aucs):.3f} to {max(aucs):.3f}) |")
    print("\n| first | second | score, first - second |\n|---|---|---|")
    for first, second in ORDERINGS:
        print(f"| {first} | {second} | {difference(samples[first][:, 2], samples[second][:, 2])} |")


def _resampled(corpus: Corpus, probabilities: np.ndarray) -> np.ndarray:
    """[resample, (presence, salience, score)]; the same actors are drawn for every system."""
    evidence = PartScores(corpus.train, probabilities).predictions().evidence(corpus.space)
    truth = mixtures(corpus.train, corpus.space)
    compared = correctness(truth, evaluate(evidence, truth, PROTOCOL).decided)
    return resample(compared, evidence.actors, evidence.folds, seed=0, num_resamples=NUM_RESAMPLES)


def _timing(corpus: Corpus, probabilities: np.ndarray) -> float:
    """How well single clips of the timed pair are told apart, without any decision."""
    first, second = (corpus.space.emotions.index(emotion) for emotion in TIMED)
    names = [clip.mixture.name if clip.mixture else "" for clip in corpus.train]
    rows = [row for row, name in enumerate(names) if name in TIMED]
    truth = [names[row] == TIMED[0] for row in rows]
    return float(roc_auc_score(truth, probabilities[rows, first] - probabilities[rows, second]))


def _cell(values: np.ndarray) -> str:
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
