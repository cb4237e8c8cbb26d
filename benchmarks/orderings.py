"""What the demo corpus must tell apart, over three seeds: one table of differences with intervals.

    python benchmarks/orderings.py [FOLDER] [--group main|missing]

FOLDER: a project in which `make repro` has run. `main` compares strategies; `missing` asks what modality
dropout brings when a modality is missing, where a hidden layer or attention could make use of it.

Rendered clips: synthetic, says nothing about people. All features are standardised per actor (transductive),
decisions are `set-ratio`, cross-fold. Intervals: 95 %, over actors, seeds averaged.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from blended.data import Corpus
from blended.data.index import read_index
from blended.data.store import FeatureStore
from blended.encoders.device import one_thread
from blended.eval.evaluation import evaluate
from blended.eval.intervals import Spread, mean_of
from blended.eval.measures.blends import correctness, score_spread
from blended.eval.protocol import Protocol
from blended.eval.tasks import mixtures
from blended.fusion.config import TrainingConfig
from blended.fusion.objective import LossConfig
from blended.fusion.run import Surroundings
from blended.fusion.sources import Change
from blended.fusion.strategies import FUSIONS, CrossAttentionConfig, EarlyConfig, Fused, FusionConfig, fit
from blended.fusion.strategy import Gathering, Memory
from blended.studies.evaluating import undecided
from blended.studies.folders import Folders

SEEDS = (0, 1, 2)
AUDIO, VIDEO = ("logmel", "prosody"), ("motion", "face")
MODALITY = {**dict.fromkeys(AUDIO, "audio"), **dict.fromkeys(VIDEO, "video")}
PROTOCOL = Protocol("set-ratio", features_per_actor=True)
Orderings = tuple[tuple[str, str], ...]
TIMED = ("ang", "disg")
"""Told apart by what comes first, face or voice, and by nothing else."""
FEW_EPOCHS = 15


def early(features: tuple[str, ...], training: TrainingConfig | None = None) -> EarlyConfig:
    """Pooled features side by side into a linear head."""
    return EarlyConfig(features=features, standardise="actor", training=training or TrainingConfig())


BOTH = (*AUDIO, *VIDEO)
MAIN: dict[str, FusionConfig] = {
    "early, audio": early(AUDIO),
    "early, video": early(VIDEO),
    "early, both": early(BOTH),
    "early, both, balanced": early(BOTH, TrainingConfig(loss=LossConfig(balance=0.5))),
    "early, both, modality dropout": early(BOTH, TrainingConfig(modality_dropout=0.5)),
    "cross-attention": CrossAttentionConfig(features=BOTH, standardise="actor"),
}
MAIN_ORDERINGS = (
    ("early, both", "early, audio"),
    ("early, both", "early, video"),
    ("cross-attention", "early, both"),
    ("early, both, balanced", "early, both"),
    ("early, both, modality dropout", "early, both"),
    ("early, both, modality dropout, no audio", "early, both, no audio"),
    ("early, both, modality dropout, no video", "early, both, no video"),
)


def hidden(dropout: float) -> EarlyConfig:
    """An MLP, at the rate that inner folds preferred for MLPs (`learning_rate.py`)."""
    return early(BOTH, TrainingConfig(hidden=256, learning_rate=1e-4, modality_dropout=dropout))


def attention(dropout: float) -> CrossAttentionConfig:
    """Cross-attention with fewer epochs than its default of 40."""
    plain = CrossAttentionConfig(features=BOTH, standardise="actor")
    training = plain.training.model_copy(update={"max_epochs": FEW_EPOCHS, "modality_dropout": dropout})
    return plain.model_copy(update={"training": training})


DROPPED = ", modality dropout"
GONE = ("audio", "video")
MISSING: dict[str, FusionConfig] = {
    "early MLP-256": hidden(0.0),
    f"early MLP-256{DROPPED}": hidden(0.3),
    "cross-attention": attention(0.0),
    f"cross-attention{DROPPED}": attention(0.3),
}
MISSING_ORDERINGS = tuple(
    (f"{name}{DROPPED}{which}", f"{name}{which}")
    for name in ("early MLP-256", "cross-attention")
    for which in ("", *(f", no {gone}" for gone in GONE))
)
GROUPS = {"main": (MAIN, MAIN_ORDERINGS), "missing": (MISSING, MISSING_ORDERINGS)}


def main(root: Path, group: str) -> None:
    """Trains every system of a group with every seed and prints the table."""
    systems, orderings = GROUPS[group]
    folders = Folders(root)
    index = read_index(folders.index("demo"))
    corpus, memory = index.corpus, Memory()
    stores = {name: FeatureStore(folders.features("demo") / name) for name in MODALITY}
    predicted: dict[str, list[np.ndarray]] = {}
    for name, config in systems.items():
        started = time.perf_counter()
        for seed in SEEDS:
            wanted = {feature: MODALITY[feature] for feature in config.features}
            where = Gathering(index, corpus, stores, wanted, "cpu", folders.cache, print, memory)
            inputs = FUSIONS[config.name].reads.gather(config, where)
            with one_thread():
                fused = fit(config, inputs, seed, Surroundings(lambda _: None))
                for label, given in _changes(name, fused, orderings).items():
                    predicted.setdefault(label, []).append(given)
        print(f"{name}: {(time.perf_counter() - started) / len(SEEDS):.0f} s per seed", flush=True)
    _report(corpus, predicted, orderings)


def _changes(name: str, fused: Fused, orderings: Orderings) -> dict[str, np.ndarray]:
    """The predictions, and for systems that are judged so, those without a modality."""
    compared = {one for pair in orderings for one in pair}
    found = {name: fused.out_of_fold}
    for gone in GONE:
        if (label := f"{name}, no {gone}") in compared:
            found[label] = fused.changed(Change(without=frozenset({gone})))
    return found


def _report(corpus: Corpus, predicted: dict[str, list[np.ndarray]], orderings: Orderings) -> None:
    spreads = {name: mean_of([_spread(corpus, one) for one in given]) for name, given in predicted.items()}
    print(f"\n| system | presence | salience | score | AUC {' / '.join(TIMED)} |\n|---|---|---|---|---|")
    for name, given in predicted.items():
        cells = [str(one) for one in spreads[name].estimates]
        aucs = [_timing(corpus, one) for one in given]
        print(f"| {name} | {' | '.join(cells)} | {np.mean(aucs):.3f} ({min(aucs):.3f} to {max(aucs):.3f}) |")
    print("\n| first | second | score, first - second |\n|---|---|---|")
    for first, second in orderings:
        print(f"| {first} | {second} | {spreads[first].minus(spreads[second]).estimates[2]} |")


def _spread(corpus: Corpus, probabilities: np.ndarray) -> Spread:
    """Presence, salience and score of one system."""
    evidence = undecided(corpus.train, probabilities).evidence(corpus.space)
    truth = mixtures(corpus.train, corpus.space)
    compared = correctness(truth, evaluate(evidence, truth, PROTOCOL).mixtures)
    return score_spread(compared, evidence.actors, evidence.folds)


def _timing(corpus: Corpus, probabilities: np.ndarray) -> float:
    """How well single clips of the timed pair are told apart, without any decision."""
    first, second = (corpus.space.emotions.index(emotion) for emotion in TIMED)
    names = [clip.mixture.name if clip.mixture else "" for clip in corpus.train]
    rows = [row for row, name in enumerate(names) if name in TIMED]
    truth = [names[row] == TIMED[0] for row in rows]
    return float(roc_auc_score(truth, probabilities[rows, first] - probabilities[rows, second]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path())
    parser.add_argument("--group", choices=[*GROUPS], default="main")
    asked = parser.parse_args()
    main(asked.folder, asked.group)
